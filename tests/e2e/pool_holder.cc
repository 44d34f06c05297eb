// A program that holds a pool until it is killed; it prints its workers' pids on one line. With the
// argument forkserver they are forked, and the pid of who forks them is the last.
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "tests/e2e/pool.h"

int main(int count, char** arguments) {
  const bool forks = count > 1 && std::string_view(arguments[1]) == "forkserver";
  dspool::Config config = dspool::test::pool_config(2, "forkable:Forkable");
  if (forks) config.worker.start_method = dspool::StartMethod::kForkServer;
  const auto engine = dspool::Engine::start(config);
  if (!engine || !(*engine)->wait_until_ready(dspool::test::kPatience)) return 1;
  for (const dspool::WorkerHealth& worker : (*engine)->health_check().workers) {
    std::printf("%d ", worker.pid);
  }
  if (forks) {
    const auto parent = (*engine)->execute_anonymous("parent", {});
    if (!parent) return 1;
    std::printf("%d", static_cast<int>(parent->value.as_int64()));
  }
  std::printf("\n");
  std::fflush(stdout);
  ::pause();
}
