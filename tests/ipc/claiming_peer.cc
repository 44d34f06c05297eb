// A worker that claims each request before it runs it, for as long as the request says, and
// answers with its own id: as a record of type 1 if it has run, of type 2 if it was recalled. It
// ends when the engine is gone.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ipc/worker_channel.h"
#include "tests/ipc/claim_answer.h"

namespace {

using namespace dspool::ipc;  // NOLINT(google-build-using-namespace)

void run_for(std::chrono::nanoseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) continue;
}

}  // namespace

int main() {
  const auto attached = WorkerChannel::attach();
  if (!attached) {
    std::fprintf(stderr, "claiming_peer: %s\n", attached.error().what.c_str());
    return EXIT_FAILURE;
  }
  WorkerChannel& channel = **attached;
  if (!channel.start_lifeline()) return EXIT_FAILURE;
  while (channel.wait()) {
    while (const auto record = channel.try_receive()) {
      const bool runs = channel.claim();
      std::int64_t time_ns = 0;
      std::memcpy(&time_ns, record->body.data(), sizeof time_ns);
      const std::uint64_t id = record->header.request_id;
      channel.release();
      if (runs) run_for(std::chrono::nanoseconds(time_ns));
      if (!channel.try_reserve(0)) return EXIT_FAILURE;  // the engine has fewer under way
      channel.commit(static_cast<std::uint16_t>(runs ? ClaimAnswer::kRan : ClaimAnswer::kSkipped),
                     id);
      channel.publish();
    }
  }
  return EXIT_SUCCESS;
}
