// Why does the calling thread take an uncontended checkout itself, rather than leave it to the task
// arena as a contended one? `inline` is the way of a call through the dispatcher, from its arrival
// to its end, with a transport that does nothing; in `arena_hop` the arrival runs on the arena
// while the caller waits. The difference is what a hop costs.
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>

#include "bench/bare_pool.h"
#include "bench/latencies.h"
#include "bench/workload.h"
#include "engine/dispatch/arena.h"
#include "ipc/adaptive_spin.h"

namespace dspool::bench {
namespace {

template <typename Arrive>
void check_out(benchmark::State& state, BarePool& pool, Arrive&& arrive) {
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
  BarePool pool;
  check_out(state, pool,
            [&](dispatch::Call& call, dispatch::TimePoint now) { pool.arrive(call, now); });
}
BENCHMARK(BM_Checkout_Inline)->Name("BM_Checkout/inline")->UseRealTime();

void BM_Checkout_ArenaHop(benchmark::State& state) {
  BarePool pool;
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
