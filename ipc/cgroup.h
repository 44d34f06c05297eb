// A cgroup for one child process and all that it starts: what they may take together, whether the
// kernel has killed any of them for lack of memory, and their end, whatever group or session of
// processes they have gone to. It is a directory in each hierarchy that is used: one of version 2,
// or up to two of version 1, which has one for each resource (CgroupTree).
//
// Crash: when its maker is killed the directories stay, and what has left its parent's process
// group lives on in them, until the next maker sweeps (CgroupTree::create).
//
// Threads: one at a time, but for `memory_kills` and `limits`, which any thread may call.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "ipc/fault.h"
#include "ipc/file_descriptor.h"

namespace dspool::ipc {

struct CgroupLimits {  // 0: none
  std::uint64_t memory_bytes = 0;
  std::uint32_t processes = 0;  // threads count
};

// What a hierarchy is used for.
struct CgroupHierarchy {
  std::filesystem::path directory = {};  // in which groups are made
  bool is_v2 = false;
  bool limits_memory = false;
  bool limits_processes = false;
};

struct MemoryKills {
  std::uint64_t count = 0;  // processes of the group that the kernel has killed for lack of memory
  bool at_own_limit = false;  // the group has been at its limit; else the machine, or one around it
};

class Cgroup {
 public:
  // Errors: kSystem, naming the file. REQUIRES: each limit has a hierarchy that limits it.
  static Result<std::unique_ptr<Cgroup>> make(const std::vector<CgroupHierarchy>& hierarchies,
                                              const std::string& name, const CgroupLimits& limits);
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  // Ends what is in it, and removes it if that is gone at once.
  ~Cgroup();

  [[nodiscard]] const CgroupLimits& limits() const noexcept { return limits_; }
  // The descriptors that a process writes "0" to, to enter (ChildOptions::cgroups).
  [[nodiscard]] std::vector<int> entrances() const;
  // Puts a process into it. Errors: kSystem.
  Result<void> enter(pid_t pid) const;
  [[nodiscard]] MemoryKills memory_kills() const;
  // Kills all that is in it. Whether nothing is.
  bool kill_all() const;
  // false: something is in it, or ends just now. Removed once, it stays so.
  bool remove();

 private:
  struct Place {
    std::filesystem::path directory;
    CgroupHierarchy hierarchy;
    FileDescriptor processes;  // cgroup.procs, open for writing
  };

  explicit Cgroup(const CgroupLimits& limits) noexcept : limits_(limits) {}

  const CgroupLimits limits_;
  std::vector<Place> places_;
  bool is_removed_ = false;
};

// Kills all processes of the cgroup in this directory, not those of groups below it. Whether there
// are none.
bool kill_cgroup(const std::filesystem::path& directory);

}  // namespace dspool::ipc
