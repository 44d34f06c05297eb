// Keeps the fleet: sees what became of the workers, lets Fleet decide, and carries its orders out,
// by the supervisor's means, the gate's and the mover's. What people ask of the fleet comes here,
// and waits here until it is done.
//
// It looks at what is, not at what happened: a wake-up says no more than that something did. So
// none can be lost that matters.
//
// Threads: its own, which steps; any for the rest.
// Lock order: mutex_ -> the gate's.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "dspool/error.h"
#include "engine/dispatch/fleet.h"
#include "engine/dispatch/gate.h"
#include "engine/dispatch/mover.h"
#include "engine/dispatch/waker.h"
#include "engine/telemetry/log.h"
#include "engine/telemetry/metrics.h"
#include "engine/worker/supervisor.h"

namespace dspool::dispatch {

class Steward {
 public:
  using Patience = std::chrono::milliseconds;

  struct Parts {
    Gate& gate;
    worker::Supervisor& supervisor;
    Mover& mover;
    Waker& wake;
    const telemetry::Log& log;
    telemetry::Metrics& metrics;
    std::atomic<std::uint32_t>& pool_size;  // what it is told to be, for all to see
  };

  // `grace`: how long a worker that was told to end has to do so. `names` and all parts outlive
  // *this. The first `pool_size` workers were started.
  Steward(const FleetTerms& terms, const Parts& parts, std::span<const std::string> names,
          Patience grace);
  ~Steward();
  Steward(const Steward&) = delete;
  Steward& operator=(const Steward&) = delete;

  void start();
  // Refuses what is asked for from here on, and what waits. Whatever the workers do, it does
  // nothing more.
  void finish();

  // Each waits until it is done, for `patience` at most, after which it goes on: timeout /
  // "unfinished". Errors: those of Engine.
  Result<void> resize(std::uint32_t workers, Patience patience);
  Result<void> drain(std::string_view worker, Patience patience);
  Result<void> evacuate(std::string_view worker, Patience patience);
  Result<std::uint64_t> rebalance(Patience patience);

  // The place of a worker that serves. Errors: "unknown_worker", "worker_not_ready", "stopping".
  [[nodiscard]] Result<std::uint32_t> find_serving(std::string_view worker);

  // Told by the supervisor: the process of a place that was retired is gone.
  void vacated(std::uint32_t place);

 private:
  static constexpr std::chrono::seconds kLookInterval{1};
  static constexpr std::chrono::seconds kRestAfterEvening{10};

  // A worker as the dispatcher has it.
  struct Seen {
    WorkerState state = WorkerState::kAbsent;
    std::uint64_t epoch = 0;
    std::uint64_t served = 0;
    std::uint32_t in_flight = 0;
    std::uint64_t warm_sessions = 0;
  };

  void run();
  void wait_for_events(TimePoint until) const;
  bool step();
  [[nodiscard]] FleetLoad look();
  void tell_fleet(TimePoint now);
  void tell_fleet_of(std::uint32_t place, TimePoint now);
  void look_at_memory(TimePoint now);
  void look_at_balance(TimePoint now);
  void carry_out(const FleetOrder& order);
  void let_finish(std::uint32_t place);
  [[nodiscard]] TimePoint next_step() const;

  void set_pool_size(std::uint32_t workers);  // REQUIRES: mutex_
  Result<void> leave(std::string_view worker, Patience patience, bool drains);
  template <typename Done>
  Result<void> wait_until(std::unique_lock<std::mutex>& lock, Patience patience, const Done& done,
                          std::string_view what);
  Result<void> catch_up(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] Result<std::uint32_t> find(std::string_view worker) const;  // REQUIRES: mutex_

  const FleetTerms terms_;
  const Parts parts_;
  std::span<const std::string> names_;
  const Patience grace_;

  // ---- the thread's ----
  std::vector<Seen> seen_;             // by place
  std::vector<std::uint64_t> epochs_;  // of the worker that the fleet was told of last
  std::vector<std::uint64_t> memory_bytes_;
  TimePoint look_again_{};
  TimePoint look_at_memory_{};
  TimePoint look_at_balance_{};
  std::uint64_t recycled_ = 0;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Fleet fleet_;
  std::vector<std::uint32_t> vacated_;
  std::uint64_t steps_ = 0;
  bool even_out_due_ = false;  // once the target is reached
  std::uint64_t evenings_asked_ = 0;
  std::uint64_t evenings_done_ = 0;
  std::uint64_t evenings_under_way_ = 0;
  bool finishing_ = false;

  std::thread thread_;
};

}  // namespace dspool::dispatch
