// What a child process may take of the machine, as far as the kernel counts it for each process by
// itself (setrlimit). A process hands its limits on to those that it starts.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "ipc/exec_child.h"
#include "ipc/fault.h"

namespace dspool::ipc {

// 0: as much as this process may.
struct ChildLimits {
  // Memory of its own that it can write to, whether it has touched it or not (RLIMIT_DATA). An
  // allocation beyond that fails.
  std::uint64_t memory_bytes = 0;
  std::uint64_t open_files = 0;  // RLIMIT_NOFILE
};

// As setrlimit takes them: none is above what this process may itself, and no core is dumped.
[[nodiscard]] std::vector<ResourceLimit> resource_limits(const ChildLimits& limits);

// Sets the limits of a process of ours that runs. Errors: kSystem.
Result<void> limit_process(pid_t pid, const ChildLimits& limits);

}  // namespace dspool::ipc
