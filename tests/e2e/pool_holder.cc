// A program that holds a pool until it is killed; it prints its workers' pids on one line.
#include <unistd.h>

#include <cstdio>

#include "tests/e2e/pool.h"

int main() {
  const auto engine = dspool::Engine::start(dspool::test::pool_config(2));
  if (!engine || !(*engine)->wait_until_ready(dspool::test::kPatience)) return 1;
  for (const dspool::WorkerHealth& worker : (*engine)->health_check().workers) {
    std::printf("%d ", worker.pid);
  }
  std::printf("\n");
  std::fflush(stdout);
  ::pause();
}
