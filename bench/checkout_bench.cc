// Why does the calling thread take an uncontended checkout itself, rather than leave it to the task
// arena as a contended one? `inline` is the way of a call through the dispatcher, from its arrival
// to its end, with a transport that does nothing; in `arena_hop` the arrival runs on the arena
// while the caller waits. The difference is what a hop costs.
#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "bench/latencies.h"
#include "bench/workload.h"
#include "engine/dispatch/arena.h"
#include "engine/dispatch/dispatcher.h"
#include "engine/store/memory_store.h"
#include "engine/telemetry/event_history.h"
#include "engine/telemetry/metrics.h"
#include "ipc/adaptive_spin.h"

namespace dspool::bench {
namespace {

class NullTransport final : public dispatch::Transport {
 public:
  dispatch::Sent send(std::uint32_t, const dispatch::Request& request) override {
    benchmark::DoNotOptimize(request);
    return dispatch::Sent::kSent;
  }
  void cancel(std::uint32_t, std::uint64_t) override {}
  void kill(std::uint32_t, std::string_view) override {}
};

class NullListener final : public dispatch::CallListener {
 public:
  void ended(dispatch::Call&) override {}
  void hand_off_due() override {}
};

// A dispatcher with one worker, which is idle.
class Pool {
 public:
  static constexpr std::uint32_t kWorker = 0;

  Pool() { dispatcher_.worker_ready(kWorker, 1, dispatch::TimePoint{}); }

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
  NullTransport transport_;
  NullListener listener_;
  store::MemoryStore store_{worker::kValueLimitBytes};
  session::SessionTable sessions_;
  telemetry::Metrics metrics_;
  telemetry::EventHistory history_{0};
  const std::array<std::string, 1> names_{"worker-0"};
  dispatch::Dispatcher dispatcher_{{},
                                   {.transport = transport_,
                                    .store = store_,
                                    .listener = listener_,
                                    .sessions = sessions_,
                                    .metrics = metrics_,
                                    .history = history_},
                                   names_,
                                   42,
                                   dispatch::TimePoint{}};
  dispatch::Outcome outcome_;
};

template <typename Arrive>
void check_out(benchmark::State& state, Pool& pool, Arrive&& arrive) {
  const Value args = five_fields();
  const auto session = session::make_session(session_name(0), dispatch::TimePoint{});
  Latencies latencies(state);
  auto before = Latencies::Clock::now();
  for (auto _ : state) {
    dispatch::Call call;
    call.session = session;
    call.command = "echo";
    call.args = &args;
    call.deadline = before + std::chrono::seconds(30);
    arrive(call, before);
    if (!pool.answer(call, before)) {
      state.SkipWithError("the call was not sent");
      break;
    }
    benchmark::DoNotOptimize(call.result);
    const auto now = Latencies::Clock::now();
    latencies.record(now - before);
    before = now;
  }
  latencies.report(state);
}

void BM_Checkout_Inline(benchmark::State& state) {
  Pool pool;
  check_out(state, pool,
            [&](dispatch::Call& call, dispatch::TimePoint now) { pool.arrive(call, now); });
}
BENCHMARK(BM_Checkout_Inline)->Name("BM_Checkout/inline")->UseRealTime();

void BM_Checkout_ArenaHop(benchmark::State& state) {
  Pool pool;
  ipc::AdaptiveSpin spin;
  spin.set_limit(std::chrono::seconds(1));
  dispatch::Arena arena;  // last: its tasks use the pool
  check_out(state, pool, [&](dispatch::Call& call, dispatch::TimePoint now) {
    std::atomic<bool> arrived = false;
    arena.enqueue([&] {
      pool.arrive(call, now);
      arrived.store(true, std::memory_order_release);
    });
    const bool done = spin.spin([&] { return arrived.load(std::memory_order_acquire); });
    if (!done) arrived.wait(false, std::memory_order_acquire);
  });
}
BENCHMARK(BM_Checkout_ArenaHop)->Name("BM_Checkout/arena_hop")->UseRealTime();

}  // namespace
}  // namespace dspool::bench
