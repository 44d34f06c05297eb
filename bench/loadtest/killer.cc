#include "bench/loadtest/killer.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>
#include <vector>

namespace dspool::loadtest {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kProbe{200};
constexpr milliseconds kSlice{100};

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

Killer::Killer(Engine& engine, std::optional<milliseconds> interval, std::uint64_t seed,
               std::function<void(const Kill&)> on_kill)
    : engine_(engine),
      interval_(interval),
      random_(seed),
      on_kill_(std::move(on_kill)),
      thread_([this] { run(); }) {}

Killer::~Killer() { stop(); }

void Killer::kill_one() {
  {
    const std::lock_guard lock(mutex_);
    ++asked_;
  }
  changed_.notify_one();
}

void Killer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Killer::run() {
  while (wait_for_turn()) {
    std::optional<Kill> kill;
    while (!kill) {
      if (!wait_until_all_are_ready()) return;
      kill = kill_random_worker();
    }
    if (on_kill_) on_kill_(*kill);
  }
}

// False when it is time to stop.
bool Killer::wait_for_turn() {
  std::unique_lock lock(mutex_);
  const auto due = [this] { return stopping_ || asked_ > 0; };
  if (interval_) {
    changed_.wait_for(lock, *interval_, due);
  } else {
    changed_.wait(lock, due);
  }
  if (asked_ > 0) --asked_;
  return !stopping_;
}

bool Killer::wait_until_all_are_ready() {
  while (!stopping()) {
    if (engine_.wait_until_ready(kSlice)) return !stopping();
  }
  return false;
}

std::optional<Kill> Killer::kill_random_worker() {
  std::vector<WorkerHealth> workers = engine_.health_check(kProbe).workers;
  std::erase_if(workers, [](const WorkerHealth& worker) { return !works(worker); });
  if (workers.empty() || stopping()) return std::nullopt;
  std::uniform_int_distribution<std::size_t> any(0, workers.size() - 1);
  const WorkerHealth chosen = workers[any(random_)];
  const Process process(chosen.pid);
  // The number may have been given to another process since the probe; the descriptor cannot be.
  const std::vector<WorkerHealth> now = engine_.health_check(milliseconds(0)).workers;
  const bool same = std::ranges::any_of(now, [&](const WorkerHealth& worker) {
    return worker.pid == chosen.pid && worker.epoch == chosen.epoch;
  });
  if (!same || !process.kill()) return std::nullopt;
  return Kill{.worker = chosen.worker, .pid = chosen.pid, .epoch = chosen.epoch};
}

bool Killer::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

}  // namespace dspool::loadtest
