// A dispatcher of the engine with one worker or some, which are idle, and a transport that does
// nothing: what is left is the state machine.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/dispatch/dispatcher.h"
#include "engine/store/memory_store.h"
#include "engine/telemetry/event_history.h"
#include "engine/telemetry/metrics.h"

namespace dspool::bench {

class BarePool final : private dispatch::Transport, private dispatch::CallListener {
 public:
  explicit BarePool(std::uint32_t workers = 1, const dispatch::Limits& limits = {})
      : names_(workers, "worker"),
        dispatcher_(limits,
                    {.transport = *this,
                     .store = store_,
                     .archive = nullptr,
                     .listener = *this,
                     .sessions = sessions_,
                     .tombstones = tombstones_,
                     .metrics = metrics_,
                     .history = history_},
                    names_, 42, dispatch::TimePoint{}) {
    for (std::uint32_t i = 0; i < workers; ++i) {
      dispatcher_.worker_ready(i, ++epochs_, dispatch::TimePoint{});
    }
  }

  [[nodiscard]] session::SessionTable& sessions() noexcept { return sessions_; }
  [[nodiscard]] dispatch::Dispatcher& dispatcher() noexcept { return dispatcher_; }

  void arrive(dispatch::Call& call, dispatch::TimePoint now) {
    benchmark::DoNotOptimize(dispatcher_.arrive(call, now));
  }
  // false: the call had not been sent.
  bool answer(const dispatch::Call& call, dispatch::TimePoint now) {
    outcome_.attempt = 1;
    outcome_.status = dispatch::OutcomeStatus::kOk;
    return dispatcher_.answered(call.worker, call.request_id, outcome_, now);
  }
  // From here on no session is warm anywhere.
  void keep_nothing() noexcept { outcome_.not_kept = true; }
  // The worker dies, and another takes its place.
  void replace(std::uint32_t worker, dispatch::TimePoint now) {
    dispatcher_.worker_lost(worker, dispatch::Loss::kDeath, "killed", now);
    dispatcher_.worker_ready(worker, ++epochs_, now);
  }

 private:
  dispatch::Sent send(std::uint32_t, const dispatch::Request& request) override {
    benchmark::DoNotOptimize(request);
    return dispatch::Sent::kSent;
  }
  void cancel(std::uint32_t, std::uint64_t) override {}
  std::uint64_t begun(std::uint32_t) override { return ~std::uint64_t{0}; }  // it has no ring
  std::uint64_t recall(std::uint32_t) override { return ~std::uint64_t{0}; }
  void kill(std::uint32_t, std::string_view) override {}
  void ended(dispatch::Call&) override {}
  void turn_came(dispatch::Call&) override {}
  void chunk_came(dispatch::Call&, Chunk) override {}
  void hand_off_due() override {}
  void room_due() override {}

  ipc::StateSegment states_{std::size_t{64} << 20};
  store::MemoryStore store_{worker::kValueLimitBytes, states_};
  session::SessionTable sessions_;
  session::Tombstones tombstones_;
  telemetry::Metrics metrics_;
  telemetry::EventHistory history_{0};
  std::uint64_t epochs_ = 0;
  dispatch::Outcome outcome_;
  const std::vector<std::string> names_;
  dispatch::Dispatcher dispatcher_;
};

}  // namespace dspool::bench
