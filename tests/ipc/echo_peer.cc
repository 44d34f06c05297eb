// The smallest worker there can be: answers every request with its own body, under its own id.
// Tests use it as the process at the other end, benchmarks as the floor of a round trip.
//
//   echo_peer [longest spin before sleeping, in nanoseconds]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ipc/worker_channel.h"

namespace {

using dspool::ipc::Record;
using dspool::ipc::WorkerChannel;

bool echo(WorkerChannel& channel, const Record& record) {
  auto place = channel.try_reserve(record.header.length);
  while (!place) {
    const auto read_to = channel.publish_full();
    if (!read_to || !channel.wait_for_room(*read_to)) return false;
    place = channel.try_reserve(record.header.length);
  }
  if (!record.body.empty()) std::memcpy(place->data(), record.body.data(), record.body.size());
  channel.commit(record.header.type, record.header.request_id);
  return true;
}

}  // namespace

int main(int argument_count, char** arguments) {
  const auto attached = WorkerChannel::attach();
  if (!attached) {
    std::fprintf(stderr, "echo_peer: %s\n", attached.error().what.c_str());
    return EXIT_FAILURE;
  }
  WorkerChannel& channel = **attached;
  if (argument_count > 1) {
    channel.set_spin_limit(std::chrono::nanoseconds{std::atoll(arguments[1])});
  }
  if (const auto started = channel.start_lifeline(); !started) {
    std::fprintf(stderr, "echo_peer: %s\n", started.error().what.c_str());
    return EXIT_FAILURE;
  }
  while (channel.wait()) {
    while (const auto record = channel.try_receive()) {
      if (!echo(channel, *record)) return EXIT_SUCCESS;
      channel.release();
    }
    channel.publish();
  }
  return EXIT_SUCCESS;
}
