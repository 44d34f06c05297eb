// A worker that can be killed at every step: it answers one request at a time (conversation.h),
// sleeping in between, until a record without a body tells it to end.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "ipc/payload_view.h"
#include "ipc/sealed_bytes.h"
#include "ipc/worker_channel.h"
#include "tests/ipc/conversation.h"

namespace {

using namespace dspool::ipc;  // NOLINT(google-build-using-namespace)

bool answer(WorkerChannel& channel, const Record& record) {
  std::span<const std::byte> body = record.body;
  std::unique_ptr<PayloadView> payload;
  if (lies_in_slab(record.header.request_id)) {
    PayloadPlace place;
    std::memcpy(&place, body.data(), sizeof place);
    payload = std::move(PayloadView::map(channel.slab(), place).value());
    body = payload->bytes();
  }
  const std::vector parts(repetitions(record.header.request_id), body);
  const std::size_t size = parts.size() * body.size();
  if (size > channel.longest_in_rings()) {
    const auto memfd = seal_copy(parts).value();
    return channel.try_hand_over(record.header.type, record.header.request_id, memfd.get(), size)
        .has_value();
  }
  const auto place = channel.try_reserve(static_cast<std::uint32_t>(size));
  if (!place) return false;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::memcpy(&(*place)[i * body.size()], body.data(), body.size());
  }
  channel.commit(record.header.type, record.header.request_id);
  return true;
}

}  // namespace

int main() {
  const auto attached = WorkerChannel::attach();
  if (!attached) {
    std::fprintf(stderr, "killable_peer: %s\n", attached.error().what.c_str());
    return EXIT_FAILURE;
  }
  WorkerChannel& channel = **attached;
  channel.set_spin_limit(std::chrono::nanoseconds{0});
  while (channel.wait()) {
    const auto record = channel.try_receive();
    if (record->body.empty()) return EXIT_SUCCESS;
    if (!channel.claim()) return EXIT_FAILURE;           // the engine recalls what was answered
    if (!answer(channel, *record)) return EXIT_FAILURE;  // one answer at a time fits
    channel.release();
    channel.publish();
  }
  return EXIT_FAILURE;
}
