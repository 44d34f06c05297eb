#include "python_worker/native/outgoing_record.h"

#include <array>
#include <cstring>

#include "ipc/sealed_bytes.h"
#include "python_worker/native/gil.h"

namespace dspool::python {

ipc::Result<void> OutgoingRecord::seal() {
  auto memfd = ipc::seal_copy(std::array{std::as_bytes(body_)});
  if (!memfd) return tl::unexpected(memfd.error());
  sealed_ = std::move(*memfd);
  return {};
}

OutgoingRecord::Sent OutgoingRecord::try_send() {
  if (sealed_.is_open()) return try_hand_over();
  const auto place = channel_.try_reserve(static_cast<std::uint32_t>(body_.size()));
  if (!place) return Sent::kFull;
  if (!body_.empty()) std::memcpy(place->data(), body_.data(), body_.size());
  channel_.commit(type_, request_id_);
  channel_.publish();
  return Sent::kSent;
}

OutgoingRecord::Sent OutgoingRecord::try_hand_over() {
  const auto sent = channel_.try_hand_over(type_, request_id_, sealed_.get(), body_.size());
  if (!sent) return sent.error().kind == ipc::FaultKind::kFull ? Sent::kFull : Sent::kEngineGone;
  channel_.publish();
  return Sent::kSent;
}

bool OutgoingRecord::wait_for_room() {
  const auto full = channel_.publish_full();
  const GilRelease no_gil;
  return full && channel_.wait_for_room(*full);
}

}  // namespace dspool::python
