// A dispatcher of the engine with one worker, which is idle, and a transport that does nothing:
// what is left is the state machine.
#pragma once

#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <string>

#include "engine/dispatch/dispatcher.h"
#include "engine/store/memory_store.h"
#include "engine/telemetry/event_history.h"
#include "engine/telemetry/metrics.h"

namespace dspool::bench {

class BarePool final : private dispatch::Transport, private dispatch::CallListener {
 public:
  BarePool() { dispatcher_.worker_ready(kWorker, 1, dispatch::TimePoint{}); }

  [[nodiscard]] session::SessionTable& sessions() noexcept { return sessions_; }
  [[nodiscard]] dispatch::Dispatcher& dispatcher() noexcept { return dispatcher_; }

  void arrive(dispatch::Call& call, dispatch::TimePoint now) {
    benchmark::DoNotOptimize(dispatcher_.arrive(call, now));
  }
  // false: the call had not been sent.
  bool answer(const dispatch::Call& call, dispatch::TimePoint now) {
    outcome_.attempt = 1;
    outcome_.status = dispatch::OutcomeStatus::kOk;
    return dispatcher_.answered(kWorker, call.request_id, outcome_, now);
  }

 private:
  static constexpr std::uint32_t kWorker = 0;

  dispatch::Sent send(std::uint32_t, const dispatch::Request& request) override {
    benchmark::DoNotOptimize(request);
    return dispatch::Sent::kSent;
  }
  void cancel(std::uint32_t, std::uint64_t) override {}
  void kill(std::uint32_t, std::string_view) override {}
  void ended(dispatch::Call&) override {}
  void turn_came(dispatch::Call&) override {}
  void hand_off_due() override {}
  void room_due() override {}

  ipc::StateSegment states_{std::size_t{64} << 20};
  store::MemoryStore store_{worker::kValueLimitBytes, states_};
  session::SessionTable sessions_;
  session::Tombstones tombstones_;
  telemetry::Metrics metrics_;
  telemetry::EventHistory history_{0};
  const std::array<std::string, 1> names_{"worker-0"};
  dispatch::Dispatcher dispatcher_{{},
                                   {.transport = *this,
                                    .store = store_,
                                    .archive = nullptr,
                                    .listener = *this,
                                    .sessions = sessions_,
                                    .tombstones = tombstones_,
                                    .metrics = metrics_,
                                    .history = history_},
                                   names_,
                                   42,
                                   dispatch::TimePoint{}};
  dispatch::Outcome outcome_;
};

}  // namespace dspool::bench
