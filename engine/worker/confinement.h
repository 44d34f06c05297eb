// What keeps a worker within its bounds (engine/README.md has the table): limits on each of its
// processes, and, where that was asked for and the system lets us, a cgroup around all of them.
//
// A worker's cgroup ends with it: whatever is still in it when the worker's process has ended is
// killed, and the directory removed as soon as the last of that is gone.
//
// Threads: those of the supervisor, one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/config.h"
#include "dspool/error.h"
#include "engine/telemetry/log.h"
#include "ipc/cgroup.h"
#include "ipc/cgroup_tree.h"
#include "ipc/child_limits.h"
#include "ipc/child_process.h"

namespace dspool::worker {

class Confinement {
 public:
  using Clock = std::chrono::steady_clock;

  // `config` and `log` outlive *this.
  Confinement(const WorkerConfig& config, const telemetry::Log& log);
  Confinement(const Confinement&) = delete;
  Confinement& operator=(const Confinement&) = delete;
  // Waits for what was buried, for as long as kLastPatience.
  ~Confinement();

  // Finds out what the system has, and tells the log once what that is. Errors: "no_cgroup" where
  // it is less than what worker.cgroups requires.
  Result<void> prepare();
  // Of a worker; a fork server, which is no worker, keeps the number of files that it needs.
  [[nodiscard]] ipc::ChildLimits limits() const noexcept;
  // For a worker that is about to start; null: it will have none. Errors: "spawn_failed".
  Result<std::shared_ptr<ipc::Cgroup>> make_cgroup(std::string_view name, std::uint64_t epoch);
  // A worker that was forked by another process than this, and has not been told to begin.
  Result<void> confine(const ipc::ChildProcess& process, const ipc::Cgroup* cgroup) const;
  // The worker's process has ended.
  void bury(std::shared_ptr<ipc::Cgroup> cgroup);

  // ---- what the supervisor's loop does in each round ----
  void look();
  [[nodiscard]] std::optional<Clock::time_point> due() const noexcept;

 private:
  static constexpr std::chrono::milliseconds kPause{10};  // between looks at what has to be gone
  static constexpr std::chrono::milliseconds kLastPatience{2'000};

  void tell(const ipc::CgroupUse& use, const std::string& why_not) const;

  const WorkerConfig& config_;
  const telemetry::Log& log_;
  std::unique_ptr<ipc::CgroupTree> tree_;           // null: workers have none
  std::vector<std::shared_ptr<ipc::Cgroup>> left_;  // of dead workers; something is in them
  Clock::time_point next_look_;
};

// How a worker has ended, for people: also whether the kernel has killed it for lack of memory.
// Without a status it is not known yet. `cgroup` may be null.
[[nodiscard]] std::string describe_end(const std::optional<ipc::ExitStatus>& status,
                                       const ipc::Cgroup* cgroup);

}  // namespace dspool::worker
