// A pool of simulated workers under simulated time, scheduled by the engine's own dispatcher, in
// one thread. It decides where each call runs as it does in the engine; simulated are the clock,
// the callers, and the workers: how long each call takes, and how much longer where the worker was
// sent the session's fields because it did not have them.
//
// Sessions are made when their first call arrives, calls are used again: memory follows the
// sessions that were called (some hundred bytes each) and the most calls that were there at once
// (as much again), not all that there were. Above capacity the queue grows for as long as calls
// arrive, and memory with it. An event costs the same however many workers there are.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "engine/dispatch/dispatcher.h"
#include "engine/simulation/options.h"
#include "engine/simulation/report.h"
#include "engine/simulation/workload.h"
#include "engine/store/memory_store.h"
#include "ipc/state_segment.h"

namespace dspool::simulation {

// Told now and then how far a simulation is, from 0 to 1; false: stop it.
using Progress = std::function<bool(double fraction)>;

class Simulation final : private dispatch::Transport, private dispatch::CallListener {
 public:
  // REQUIRES: the options are valid. `workload` outlives *this.
  Simulation(const Options& options, Policy policy, Workload& workload);

  // Until all calls that arrived have ended. Once.
  [[nodiscard]] Report run(const Progress& progress);

 private:
  struct SimulatedCall : dispatch::Call {
    SimulatedCall(std::uint32_t at, const Job& job);

    std::uint32_t place;  // in calls_
    std::string name;     // the same, as the command that tells the worker
    std::uint32_t session_number;
    std::chrono::nanoseconds service;
    dispatch::TimePoint began;
  };
  // A worker answers.
  struct Answer {
    dispatch::TimePoint at;
    std::uint64_t sequence = 0;
    std::uint64_t request_id = 0;
    std::chrono::nanoseconds service{0};
    std::chrono::nanoseconds hydration{0};  // of that
    std::uint32_t worker = 0;
    std::uint32_t attempt = 0;

    bool operator<(const Answer& other) const noexcept {  // the earliest is the greatest
      return at != other.at ? at > other.at : sequence > other.sequence;
    }
  };

  dispatch::Sent send(std::uint32_t worker, const dispatch::Request& request) override;
  void cancel(std::uint32_t /*worker*/, std::uint64_t /*request_id*/) override {}
  std::uint64_t begun(std::uint32_t /*worker*/) override { return ~std::uint64_t{0}; }
  std::uint64_t recall(std::uint32_t /*worker*/) override { return ~std::uint64_t{0}; }
  void kill(std::uint32_t /*worker*/, std::string_view /*why*/) override {}
  void ended(dispatch::Call& ended) override;
  void turn_came(dispatch::Call& /*call*/) override {}
  void chunk_came(dispatch::Call& /*call*/, Chunk /*chunk*/) override {}
  void hand_off_due() override { hand_off_due_ = true; }
  void room_due() override {}

  void arrive(const Job& job);
  void answer(const Answer& answer);
  void hand_off();
  void stop();
  [[nodiscard]] session::Session& session_of(std::uint32_t number);

  const std::chrono::nanoseconds miss_;
  Workload& workload_;
  const std::vector<std::string> names_;
  dispatch::TimePoint now_;
  dispatch::TimePoint end_;  // of arrivals
  const Value no_args_{};
  dispatch::Outcome outcome_;  // used again
  telemetry::Metrics metrics_;
  telemetry::EventHistory history_{0};
  ipc::StateSegment segment_;
  store::MemoryStore store_;
  session::SessionTable no_table_;  // sessions are found by their numbers
  session::Tombstones tombstones_;
  std::vector<session::SessionRef> sessions_;  // by number; null: no call has arrived
  std::deque<std::optional<SimulatedCall>> calls_;
  std::vector<std::uint32_t> free_calls_;  // places in calls_
  dispatch::Dispatcher dispatcher_;
  std::vector<dispatch::TimePoint> free_from_;  // by worker: when it has done what it was sent
  std::priority_queue<Answer> answers_;
  std::uint64_t sent_ = 0;
  bool hand_off_due_ = false;
  Report report_;
};

}  // namespace dspool::simulation
