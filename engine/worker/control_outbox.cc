#include "engine/worker/control_outbox.h"

#include <strings.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace dspool::worker {
namespace {

constexpr std::size_t kMostWaitingModelBytes = std::size_t{1} << 20;

}  // namespace

std::span<const std::byte> ControlOutbox::Message::bytes() const noexcept {
  if (descriptor < 0) return model;
  return handover;
}

ipc::Result<void> ControlOutbox::hand_over(const wire::Handover& handover, int descriptor,
                                           std::uint64_t request_id) {
  Message message{.descriptor = descriptor, .request_id = request_id};
  std::memcpy(message.handover.data(), &handover, sizeof handover);
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(message));
  return flush();
}

ipc::Result<void> ControlOutbox::tell_language_model(std::vector<std::byte> model) {
  const std::lock_guard lock(mutex_);
  waiting_model_bytes_ += model.size();
  waiting_.emplace_back().model = std::move(model);
  auto flushed = flush();
  if (flushed && waiting_model_bytes_ > kMostWaitingModelBytes) {
    return tl::unexpected(
        ipc::Fault{ipc::FaultKind::kTooLarge, "the worker does not read its control socket"});
  }
  return flushed;
}

void ControlOutbox::send_on() {
  const std::lock_guard lock(mutex_);
  static_cast<void>(flush());  // a worker that is gone is seen by its hang-up
}

void ControlOutbox::forget(std::uint64_t request_id) {
  if (!has_more()) return;
  const std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [&](const Message& message) { return message.request_id == request_id; });
  has_more_.store(!waiting_.empty(), std::memory_order_release);  // (M)
}

void ControlOutbox::close() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  static_cast<void>(flush());
}

// A key that it has goes with it.
void ControlOutbox::drop_first() {
  std::vector<std::byte>& model = waiting_.front().model;
  if (!model.empty()) ::explicit_bzero(model.data(), model.size());
  waiting_model_bytes_ -= model.size();
  waiting_.pop_front();
}

// What came of the last message, which has been sent, or waits, unless that is an error.
ipc::Result<void> ControlOutbox::flush() {
  ipc::Result<void> last;
  if (is_closed_) {
    while (!waiting_.empty()) drop_first();
    last = tl::unexpected(ipc::Fault{ipc::FaultKind::kPeerGone, "the worker is gone"});
  }
  while (!waiting_.empty()) {
    const Message& next = waiting_.front();
    last = channel_.send_control(next.bytes(), next.descriptor);
    if (!last && last.error().kind == ipc::FaultKind::kFull) {
      last = {};
      break;
    }
    drop_first();
  }
  has_more_.store(!waiting_.empty(), std::memory_order_release);  // (M)
  return last;
}

}  // namespace dspool::worker
