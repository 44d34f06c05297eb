// SIGKILL for a worker of a pool, and for no other process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dspool/engine.h"

namespace dspool::loadtest {

struct Kill {
  std::string worker = {};
  pid_t pid = 0;
  std::uint64_t epoch = 0;
};

// Those that are idle or busy.
[[nodiscard]] std::vector<WorkerHealth> serving_workers(Engine& engine);

// Nothing: it was gone already.
std::optional<Kill> kill_worker(Engine& engine, const WorkerHealth& worker);

}  // namespace dspool::loadtest
