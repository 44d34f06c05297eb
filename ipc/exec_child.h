// What a forked child does until another program takes its place. Between the two, the memory is
// a copy of a process with other threads in mid-action, so only async-signal-safe functions may be
// called, and everything that needs an allocation is prepared by the parent (ExecPlan).
#pragma once

#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <array>
#include <span>
#include <utility>

namespace dspool::ipc {

struct ResourceLimit {
  int resource;  // RLIMIT_*
  rlimit limit;
};

struct ExecPlan {
  char* const* argv;  // argv[0] is the program
  char* const* envp;
  pid_t parent;
  std::array<int, 3> standard;                 // become descriptors 0, 1 and 2
  std::span<std::pair<int, int>> descriptors;  // (here, there), sorted by there, all above 2
  int failure_pipe;                            // where an ExecFailure goes; closes at exec
  std::span<const int> cgroups;                // their cgroup.procs, open for writing
  std::span<const ResourceLimit> limits;
  std::span<sock_filter> filter;  // of system calls; empty: none
};

enum class ExecStep { kCgroups, kDescriptors, kProcess, kSignals, kLimits, kExec };

struct ExecFailure {
  ExecStep step;
  int error_number;
};

// Becomes the leader of a new process group which dies with `parent`, has the descriptors of the
// plan and no others, blocks and ignores no signal, is within the plan's limits, can gain no
// privilege by executing anything, and runs the program.
[[noreturn]] void exec_child(const ExecPlan& plan) noexcept;

}  // namespace dspool::ipc
