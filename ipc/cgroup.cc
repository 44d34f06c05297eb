#include "ipc/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <set>
#include <sstream>
#include <string>

#include "ipc/cgroup_file.h"
#include "ipc/memory_room.h"
#include "ipc/pidfd.h"

namespace dspool::ipc {
namespace {

namespace fs = std::filesystem;

std::set<pid_t> processes_in(const fs::path& directory) {
  std::set<pid_t> pids;
  std::istringstream lines(read_cgroup_file(directory / "cgroup.procs"));
  for (pid_t pid = 0; lines >> pid;) {
    if (pid > 0) pids.insert(pid);  // 0: of a namespace that we do not see into
  }
  return pids;
}

// By descriptors, and only those that are still in the group when theirs is open: a number may have
// been given to another process meanwhile.
void kill_each(const fs::path& directory) {
  std::vector<std::pair<pid_t, FileDescriptor>> found;
  const auto listed = processes_in(directory);
  found.reserve(listed.size());
  for (const pid_t pid : listed) found.emplace_back(pid, open_pidfd(pid));
  const auto still = processes_in(directory);
  for (const auto& [pid, pidfd] : found) {
    if (pidfd.is_open() && still.contains(pid)) send_signal(pidfd.get(), SIGKILL);
  }
}

Result<void> set_limits(const fs::path& directory, const CgroupHierarchy& hierarchy,
                        const CgroupLimits& limits) {
  if (hierarchy.limits_memory && limits.memory_bytes != 0) {
    const std::string bytes = std::to_string(limits.memory_bytes);
    const char* const file = hierarchy.is_v2 ? "memory.max" : "memory.limit_in_bytes";
    if (auto set = write_cgroup_file(directory / file, bytes); !set) return set;
    // Swap would only make the end slower. Where the kernel has none, there may be no file.
    static_cast<void>(write_cgroup_file(
        directory / (hierarchy.is_v2 ? "memory.swap.max" : "memory.swappiness"), "0"));
  }
  if (hierarchy.limits_processes && limits.processes != 0) {
    return write_cgroup_file(directory / "pids.max", std::to_string(limits.processes));
  }
  return {};
}

}  // namespace

bool kill_cgroup(const fs::path& directory) {
  constexpr int kRounds = 20;  // for what forks meanwhile
  if (write_cgroup_file(directory / "cgroup.kill", "1")) return processes_in(directory).empty();
  for (int round = 0; round < kRounds; ++round) {
    if (processes_in(directory).empty()) return true;
    kill_each(directory);
  }
  return false;
}

Result<std::unique_ptr<Cgroup>> Cgroup::make(const std::vector<CgroupHierarchy>& hierarchies,
                                             const std::string& name, const CgroupLimits& limits) {
  constexpr mode_t kMode = 0755;
  std::unique_ptr<Cgroup> group(new Cgroup(limits));
  group->places_.reserve(hierarchies.size());
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    const fs::path directory = hierarchy.directory / name;
    if (::mkdir(directory.c_str(), kMode) != 0) {
      return system_fault("cannot make the cgroup " + directory.string(), errno);
    }
    Place& place = group->places_.emplace_back(
        Place{.directory = directory, .hierarchy = hierarchy, .processes = {}});
    if (auto set = set_limits(directory, hierarchy, limits); !set) {
      return tl::unexpected(std::move(set.error()));
    }
    place.processes =
        FileDescriptor(::open((directory / "cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    if (!place.processes.is_open()) {
      return system_fault("cannot open cgroup.procs of " + directory.string(), errno);
    }
  }
  return group;
}

Cgroup::~Cgroup() {
  if (is_removed_) return;
  kill_all();
  remove();
}

std::vector<int> Cgroup::entrances() const {
  std::vector<int> descriptors;
  descriptors.reserve(places_.size());
  for (const Place& place : places_) descriptors.push_back(place.processes.get());
  return descriptors;
}

Result<void> Cgroup::enter(pid_t pid) const {
  const std::string text = std::to_string(pid);
  for (const Place& place : places_) {
    if (::write(place.processes.get(), text.data(), text.size()) < 0) {
      return system_fault("cannot put process " + text + " into " + place.directory.string(),
                          errno);
    }
  }
  return {};
}

MemoryKills Cgroup::memory_kills() const {
  MemoryKills kills;
  for (const Place& place : places_) {
    const bool is_v2 = place.hierarchy.is_v2;
    const auto events =
        read_cgroup_file(place.directory / (is_v2 ? "memory.events" : "memory.oom_control"));
    const auto at_limit =
        is_v2 ? parse_bytes_line(events, "oom")
              : parse_cgroup_number(read_cgroup_file(place.directory / "memory.failcnt"));
    kills.count += parse_bytes_line(events, "oom_kill").value_or(0);
    kills.at_own_limit = kills.at_own_limit || at_limit.value_or(0) != 0;
  }
  return kills;
}

bool Cgroup::kill_all() const {
  for (const Place& place : places_) {
    // Nothing can be started any more. It fails in vain where processes are not counted.
    if (place.hierarchy.limits_processes) {
      static_cast<void>(write_cgroup_file(place.directory / "pids.max", "0"));
    }
  }
  bool none = true;
  for (const Place& place : places_) none = kill_cgroup(place.directory) && none;
  return none;
}

bool Cgroup::remove() {
  bool gone = true;
  for (const Place& place : places_) {
    const bool removed = ::rmdir(place.directory.c_str()) == 0 || errno == ENOENT;
    gone = gone && removed;
  }
  is_removed_ = gone;
  return gone;
}

}  // namespace dspool::ipc
