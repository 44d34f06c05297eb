#include "tests/chaos/driver/victim.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace dspool::chaos {

std::optional<Victim> Victim::pick(Engine& engine, Doing doing, std::uint64_t choice) {
  constexpr std::chrono::milliseconds kNoWait{0};
  std::vector<WorkerHealth> workers = engine.health_check(kNoWait).workers;
  std::erase_if(workers, [doing](const WorkerHealth& worker) {
    const bool is_ready =
        worker.status != WorkerStatus::kStarting && worker.status != WorkerStatus::kDead;
    return !is_ready || worker.pid <= 0 || (worker.in_flight != 0) != (doing == Doing::kSomething);
  });
  if (workers.empty()) return std::nullopt;
  const WorkerHealth chosen = workers[choice % workers.size()];
  Victim victim(chosen, static_cast<int>(::syscall(SYS_pidfd_open, chosen.pid, 0)));
  if (victim.pidfd_ < 0) return std::nullopt;
  // The number may have been given to another process since; the descriptor cannot be.
  const std::vector<WorkerHealth> now = engine.health_check(kNoWait).workers;
  const bool same = std::ranges::any_of(now, [&](const WorkerHealth& worker) {
    return worker.pid == chosen.pid && worker.epoch == chosen.epoch;
  });
  if (!same) return std::nullopt;
  return victim;
}

Victim::Victim(Victim&& other) noexcept
    : worker_(std::move(other.worker_)), pidfd_(std::exchange(other.pidfd_, -1)) {}

Victim::~Victim() {
  if (pidfd_ >= 0) ::close(pidfd_);
}

bool Victim::send(int signal) const {
  return ::syscall(SYS_pidfd_send_signal, pidfd_, signal, nullptr, 0) == 0;
}

}  // namespace dspool::chaos
