// Why does the calling thread take an uncontended checkout itself, rather than leave it to the task
// arena as a contended one? `inline` is the way of a call through the dispatcher, from its arrival
// to its end, with a transport that does nothing; in `arena_hop` the arrival runs on the arena
// while the caller waits. The difference is what a hop costs. And what does a call take where many
// callers come at once, on a real pool?
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "bench/bare_pool.h"
#include "bench/engine_under_test.h"
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

void BM_Checkout_Contended(benchmark::State& state) {
  constexpr benchmark::IterationCount kCallsEach = 256;
  const auto engine = start_engine(state, Waiting::kSleep, 2);
  if (!engine) return;
  const Value args = five_fields();
  const auto callers = static_cast<std::size_t>(state.range(0));
  const benchmark::IterationCount calls = kCallsEach * state.range(0);
  std::atomic<bool> failed = false;
  Latencies latencies(state, static_cast<std::size_t>(calls));
  while (state.KeepRunningBatch(calls)) {
    std::vector<std::vector<Latencies::Clock::duration>> taken(callers);
    std::vector<std::thread> threads;
    threads.reserve(callers);
    for (std::size_t caller = 0; caller < callers; ++caller) {
      threads.emplace_back([&, caller] {
        for (benchmark::IterationCount i = 0; i < kCallsEach; ++i) {
          const auto before = Latencies::Clock::now();
          if (!engine->execute_in_session(session_name(caller), "echo", args)) failed = true;
          taken[caller].push_back(Latencies::Clock::now() - before);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& of_caller : taken) {
      for (const auto latency : of_caller) latencies.record(latency);
    }
  }
  if (failed) state.SkipWithError("a call failed");
  latencies.report(state);
}
BENCHMARK(BM_Checkout_Contended)->ArgName("callers")->Arg(16)->UseRealTime();

}  // namespace
}  // namespace dspool::bench
