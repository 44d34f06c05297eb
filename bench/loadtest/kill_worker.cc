#include "bench/loadtest/kill_worker.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace dspool::loadtest {
namespace {

constexpr std::chrono::milliseconds kProbe{200};

// One process, for as long as the object lives: unlike its number, which the system may give to
// another process at any time.
class Process {
 public:
  explicit Process(pid_t pid) : fd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {}
  ~Process() {
    if (fd_ >= 0) close(fd_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] bool kill() const {
    return fd_ >= 0 && syscall(SYS_pidfd_send_signal, fd_, SIGKILL, nullptr, 0) == 0;
  }

 private:
  int fd_;
};

bool works(const WorkerHealth& worker) {
  return worker.pid > 0 &&
         (worker.status == WorkerStatus::kIdle || worker.status == WorkerStatus::kBusy);
}

}  // namespace

std::vector<WorkerHealth> serving_workers(Engine& engine) {
  std::vector<WorkerHealth> workers = engine.health_check(kProbe).workers;
  std::erase_if(workers, [](const WorkerHealth& worker) { return !works(worker); });
  return workers;
}

std::optional<Kill> kill_worker(Engine& engine, const WorkerHealth& worker) {
  const Process process(worker.pid);
  // The number may have been given to another process since the probe; the descriptor cannot be.
  const std::vector<WorkerHealth> now = engine.health_check(std::chrono::milliseconds(0)).workers;
  const bool same = std::ranges::any_of(now, [&](const WorkerHealth& each) {
    return each.pid == worker.pid && each.epoch == worker.epoch;
  });
  if (!same || !process.kill()) return std::nullopt;
  return Kill{.worker = worker.worker, .pid = worker.pid, .epoch = worker.epoch};
}

}  // namespace dspool::loadtest
