#include "engine/worker/confinement.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <thread>
#include <utility>

#include "engine/worker/start_error.h"
#include "ipc/pidfd.h"

namespace dspool::worker {
namespace {

constexpr std::uint64_t kBytesPerMib = std::uint64_t{1} << 20;

ipc::CgroupUse wanted(const WorkerConfig& config) {
  return {.memory = config.memory_limit != 0, .processes = config.max_processes != 0};
}

// Whether a worker of this configuration is to be in a cgroup, if that can be.
bool wants_cgroup(const WorkerConfig& config) {
  const ipc::CgroupUse asked = wanted(config);
  return config.cgroups == Cgroups::kRequired ||
         (config.cgroups == Cgroups::kAuto && (asked.memory || asked.processes));
}

std::string describe_memory_kill(const ipc::Cgroup& cgroup, bool at_own_limit) {
  const std::uint64_t limit = cgroup.limits().memory_bytes;
  if (!at_own_limit || limit == 0) {
    return "killed while out of memory: the machine, or a cgroup around the worker, had none left; "
           "lower pool_size, or bound workers by worker.memory_limit";
  }
  return fmt::format(
      "killed while out of memory at its limit of {} MiB: raise worker.memory_limit, or have "
      "workers "
      "replaced earlier by worker.max_memory_bytes",
      limit / kBytesPerMib);
}

}  // namespace

Confinement::Confinement(const WorkerConfig& config, const telemetry::Log& log)
    : config_(config), log_(log) {}

Confinement::~Confinement() {
  const auto until = Clock::now() + kLastPatience;
  while (!left_.empty() && Clock::now() < until) {
    std::this_thread::sleep_until(next_look_);
    look();
  }
}

Result<void> Confinement::prepare() {
  const ipc::CgroupUse asked = wanted(config_);
  if (!wants_cgroup(config_)) {
    log_.info(
        "workers have no cgroup: what they start in a session of its own may outlive them, unless "
        "worker.cgroups = \"required\"");
    return {};
  }
  auto tree = ipc::CgroupTree::create(asked);
  const std::string why_not = tree ? "no controller for that can be had" : tree.error().what;
  if (tree) tree_ = std::move(*tree);
  const ipc::CgroupUse use = tree_ ? tree_->use() : ipc::CgroupUse{};
  const bool is_less = !tree_ || use.memory != asked.memory || use.processes != asked.processes;
  if (is_less && config_.cgroups == Cgroups::kRequired) {
    tree_.reset();
    return tl::unexpected(no_cgroup(why_not));
  }
  tell(use, why_not);
  return {};
}

void Confinement::tell(const ipc::CgroupUse& use, const std::string& why_not) const {
  const ipc::CgroupUse asked = wanted(config_);
  if (tree_) log_.info("workers have cgroups of their own, in {}", tree_->where());
  if (!tree_) {
    log_.warning(
        "workers have no cgroup ({}): what they start in a session of its own may outlive them",
        why_not);
  }
  if (asked.memory && !use.memory) {
    log_.warning(
        "no cgroup can limit memory here ({}): worker.memory_limit holds for each of a worker's "
        "processes, not for all of them together",
        why_not);
  }
  if (asked.processes && !use.processes) {
    log_.warning("no cgroup can limit processes here ({}): worker.max_processes has no effect",
                 why_not);
  }
}

ipc::ChildLimits Confinement::limits() const noexcept {
  return {.memory_bytes = config_.memory_limit, .open_files = config_.max_open_files};
}

Result<std::shared_ptr<ipc::Cgroup>> Confinement::make_cgroup(std::string_view name,
                                                              std::uint64_t epoch) {
  if (!tree_) return nullptr;
  auto made = tree_->make(fmt::format("{}-{}", name, epoch), {.memory_bytes = config_.memory_limit,
                                                              .processes = config_.max_processes});
  if (!made) return tl::unexpected(start_error(made.error()));
  return std::shared_ptr<ipc::Cgroup>(std::move(*made));
}

Result<void> Confinement::confine(const ipc::ChildProcess& process,
                                  const ipc::Cgroup* cgroup) const {
  if (process.pid() == 0) return {};  // it has ended
  auto done = ipc::limit_process(process.pid(), limits());
  if (done && cgroup != nullptr) done = cgroup->enter(process.pid());
  if (!done && !ipc::has_ended(process.pidfd())) return tl::unexpected(start_error(done.error()));
  return {};
}

void Confinement::bury(std::shared_ptr<ipc::Cgroup> cgroup) {
  if (!cgroup) return;
  left_.push_back(std::move(cgroup));
  look();
}

void Confinement::look() {
  std::erase_if(left_, [](const std::shared_ptr<ipc::Cgroup>& cgroup) {
    cgroup->kill_all();
    return cgroup->remove();
  });
  next_look_ = Clock::now() + kPause;
}

std::optional<Confinement::Clock::time_point> Confinement::due() const noexcept {
  if (left_.empty()) return std::nullopt;
  return next_look_;
}

std::string describe_end(const std::optional<ipc::ExitStatus>& status, const ipc::Cgroup* cgroup) {
  const bool may_be_killed =
      !status || status->code < 0 || (status->signalled && status->code == SIGKILL);
  if (cgroup != nullptr && may_be_killed) {
    const ipc::MemoryKills kills = cgroup->memory_kills();
    if (kills.count != 0) return describe_memory_kill(*cgroup, kills.at_own_limit);
  }
  return status ? status->describe() : "the log says how";
}

}  // namespace dspool::worker
