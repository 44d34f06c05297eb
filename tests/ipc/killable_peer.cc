// A worker that can be killed at every step: it echoes one request at a time, sleeping in between,
// until a record without a body tells it to end.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ipc/worker_channel.h"

int main() {
  const auto attached = dspool::ipc::WorkerChannel::attach();
  if (!attached) {
    std::fprintf(stderr, "killable_peer: %s\n", attached.error().what.c_str());
    return EXIT_FAILURE;
  }
  dspool::ipc::WorkerChannel& channel = **attached;
  channel.set_spin_limit(std::chrono::nanoseconds{0});
  while (channel.wait()) {
    const auto record = channel.try_receive();
    if (record->body.empty()) return EXIT_SUCCESS;
    const auto place = channel.try_reserve(record->header.length);
    if (!place) return EXIT_FAILURE;  // one answer at a time fits
    std::memcpy(place->data(), record->body.data(), record->body.size());
    channel.commit(record->header.type, record->header.request_id);
    channel.release();
    channel.publish();
  }
  return EXIT_FAILURE;
}
