// What does it cost to be let through by a circuit breaker, when every thread asks the same one?
// And to decide whether a call is repeated, and when?
#include <benchmark/benchmark.h>

#include <chrono>
#include <random>

#include "engine/resilience/backoff.h"
#include "engine/resilience/circuit_breaker.h"
#include "engine/resilience/retry_budget.h"

namespace dspool::bench {
namespace {

constexpr resilience::TimePoint kTime{std::chrono::hours(1)};

void BM_Breaker_Permit(benchmark::State& state) {
  static resilience::CircuitBreaker breaker({});
  for (auto _ : state) {
    auto permit = breaker.try_acquire(kTime);
    benchmark::DoNotOptimize(permit);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Breaker_Permit)->Threads(1)->Threads(16);

// Refused by one that is open: also then nobody waits for anybody.
void BM_Breaker_Refusal(benchmark::State& state) {
  static resilience::CircuitBreaker breaker({});
  if (state.thread_index() == 0) breaker.isolate();
  for (auto _ : state) {
    auto permit = breaker.try_acquire(kTime);
    benchmark::DoNotOptimize(permit);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Breaker_Refusal)->Threads(1)->Threads(16);

// A permit and an outcome, as each call has them.
void BM_Breaker_Call(benchmark::State& state) {
  resilience::CircuitBreaker breaker({});
  resilience::TimePoint now = kTime;
  for (auto _ : state) {
    now += std::chrono::microseconds(10);
    auto permit = breaker.try_acquire(now);
    benchmark::DoNotOptimize(breaker.record(*permit, resilience::CallOutcome::kSuccess, now));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Breaker_Call);

// The pause is drawn, and the budget asked; time goes on by 10 us, so that it is there and used up
// by turns.
void BM_Retry_Decision(benchmark::State& state) {
  const RetryConfig config;
  const resilience::Pauses pauses;
  resilience::RetryBudget budget(config);
  std::minstd_rand random(42);  // NOLINT(cert-msc51-cpp): the same in each run
  resilience::TimePoint now = kTime;
  std::uint32_t retry = 0;
  for (auto _ : state) {
    now += std::chrono::microseconds(10);
    budget.note_call(now);
    retry = retry % 5 + 1;
    benchmark::DoNotOptimize(resilience::draw_pause(pauses, retry, config, random));
    benchmark::DoNotOptimize(budget.try_take(now));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Retry_Decision);

}  // namespace
}  // namespace dspool::bench
