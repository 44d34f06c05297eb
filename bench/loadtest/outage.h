// Half of a pool's workers die at once in the middle of a load test. How long is it until as much
// is done as before?
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
#include "bench/loadtest/throughput.h"
#include "dspool/engine.h"

namespace dspool::loadtest {

struct Recovery {
  std::uint32_t killed = 0;                             // workers
  std::optional<std::chrono::milliseconds> after = {};  // none: it did not, as far as was seen
};

class Outage {
 public:
  // Kills `at` after now. `on_kill` is called on the outage's thread, after each kill. REQUIRES:
  // `engine` outlives *this.
  Outage(Engine& engine, std::chrono::milliseconds at, std::uint64_t seed,
         std::function<void(const Kill&)> on_kill);
  // As finish().
  ~Outage();
  Outage(const Outage&) = delete;
  Outage& operator=(const Outage&) = delete;

  // An operation has succeeded, now.
  void succeeded();
  // No worker is killed after it returns.
  Recovery finish();

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  void stop();

  Engine& engine_;
  const Clock::time_point began_ = Clock::now();
  const Clock::time_point at_;
  std::mt19937_64 random_;
  const std::function<void(const Kill&)> on_kill_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool stopping_ = false;
  Throughput throughput_;
  std::uint32_t killed_ = 0;
  std::optional<Clock::time_point> blow_;
  std::thread thread_;
};

}  // namespace dspool::loadtest
