// Kills workers with SIGKILL, one at a time and at random, and never before all workers of the pool
// are ready again: what is shown is that a worker's death changes nothing, not that a pool without
// workers stands still.
//
// Thread-safe. Works on a thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "bench/loadtest/kill_worker.h"
#include "dspool/engine.h"

namespace dspool::loadtest {

class Killer {
 public:
  // `on_kill` is called on the killer's thread, after each kill. With an `interval`, a worker is
  // killed each time it has passed. REQUIRES: `engine` outlives *this.
  Killer(Engine& engine, std::optional<std::chrono::milliseconds> interval, std::uint64_t seed,
         std::function<void(const Kill&)> on_kill);
  // As stop().
  ~Killer();
  Killer(const Killer&) = delete;
  Killer& operator=(const Killer&) = delete;

  // Kills one worker soon.
  void kill_one();

  // No worker is killed after it returns.
  void stop();

 private:
  void run();
  bool wait_for_turn();
  bool wait_until_all_are_ready();
  std::optional<Kill> kill_random_worker();
  bool stopping();

  Engine& engine_;
  const std::optional<std::chrono::milliseconds> interval_;
  std::mt19937_64 random_;
  const std::function<void(const Kill&)> on_kill_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int asked_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace dspool::loadtest
