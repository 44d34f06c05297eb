#include "bench/loadtest/killer.h"

#include <utility>
#include <vector>

namespace dspool::loadtest {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSlice{100};

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
  const std::vector<WorkerHealth> workers = serving_workers(engine_);
  if (workers.empty() || stopping()) return std::nullopt;
  std::uniform_int_distribution<std::size_t> any(0, workers.size() - 1);
  return kill_worker(engine_, workers[any(random_)]);
}

bool Killer::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

}  // namespace dspool::loadtest
