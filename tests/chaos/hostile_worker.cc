// Stands where the engine expects a Python interpreter, and ignores all arguments but the adapter:
// "hostile:seed_17". The first worker of a pool is honest for ever; the others are until they have
// answered a little, and then what the seed and their epoch make of them. All workers of
// "hostile:unversioned" say that they speak a protocol which no engine does.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/chaos/hostility.h"

namespace {

std::uint64_t seed_among(int count, char** arguments) {
  constexpr std::string_view kPrefix = "hostile:seed_";
  for (int i = 1; i < count; ++i) {
    const std::string_view argument(arguments[i]);
    if (argument.starts_with(kPrefix)) {
      return std::strtoull(arguments[i] + kPrefix.size(), nullptr, 10);
    }
  }
  return 0;
}

dspool::wire::Protocol protocol_among(int count, char** arguments) {
  for (int i = 1; i < count; ++i) {
    if (arguments[i] == std::string_view("hostile:unversioned")) {
      return dspool::wire::Protocol::unversioned;
    }
  }
  return dspool::wire::Protocol::current;
}

}  // namespace

int main(int argument_count, char** arguments) {
  using namespace dspool;  // NOLINT(google-build-using-namespace)
  constexpr rlimit kNoCore{.rlim_cur = 0, .rlim_max = 0};
  ::setrlimit(RLIMIT_CORE, &kNoCore);
  chaos::RawChannel raw;
  const auto channel = ipc::WorkerChannel::attach();
  if (!channel || !(*channel)->start_lifeline()) {
    std::fprintf(stderr, "hostile_worker: no engine\n");
    return EXIT_FAILURE;
  }
  chaos::CountingWorker worker(**channel, protocol_among(argument_count, arguments));
  const auto name = worker.start();
  if (name == "worker-0") {
    while (const auto pending = worker.next_request()) worker.answer(*pending);
  } else if (name) {
    const std::uint64_t seed = seed_among(argument_count, arguments);
    chaos::Hostility(raw, worker, seed * 1'000'003 + worker.epoch()).run();
  }
}
