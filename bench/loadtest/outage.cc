#include "bench/loadtest/outage.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace dspool::loadtest {

Outage::Outage(Engine& engine, std::chrono::milliseconds at, std::uint64_t seed,
               std::function<void(const Kill&)> on_kill)
    : engine_(engine),
      at_(began_ + at),
      random_(seed),
      on_kill_(std::move(on_kill)),
      thread_([this] { run(); }) {}

Outage::~Outage() { stop(); }

void Outage::succeeded() {
  const Clock::time_point now = Clock::now();
  const std::lock_guard lock(mutex_);
  throughput_.succeeded(now - began_);
}

Recovery Outage::finish() {
  stop();
  const std::lock_guard lock(mutex_);
  Recovery recovery{.killed = killed_};
  if (blow_) recovery.after = throughput_.recovery_after(*blow_ - began_);
  return recovery;
}

void Outage::run() {
  {
    std::unique_lock lock(mutex_);
    if (changed_.wait_until(lock, at_, [this] { return stopping_; })) return;
  }
  std::vector<WorkerHealth> workers = serving_workers(engine_);
  std::ranges::shuffle(workers, random_);
  workers.resize((workers.size() + 1) / 2);
  {
    const std::lock_guard lock(mutex_);
    blow_ = Clock::now();
  }
  for (const WorkerHealth& worker : workers) {
    const auto kill = kill_worker(engine_, worker);
    if (!kill) continue;
    {
      const std::lock_guard lock(mutex_);
      ++killed_;
    }
    if (on_kill_) on_kill_(*kill);
  }
}

void Outage::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

}  // namespace dspool::loadtest
