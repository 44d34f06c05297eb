// How long does it take until a worker can be called, and until its death is known?
#include <benchmark/benchmark.h>

#include <chrono>
#include <csignal>
#include <future>
#include <thread>

#include "bench/bare_worker.h"
#include "bench/latencies.h"
#include "bench/workload.h"
#include "dspool/engine.h"

namespace dspool::bench {
namespace {

constexpr benchmark::IterationCount kLives = 40;

// A channel, a Python process on it, and its first word.
void BM_Channel_Spawn(benchmark::State& state) {
  Latencies latencies(state);
  for (auto _ : state) {
    const auto before = Latencies::Clock::now();
    const auto worker = BareWorker::start(Waiting::kSleep);
    latencies.record(Latencies::Clock::now() - before);
    if (!worker) return state.SkipWithError(worker.error().describe().c_str());
  }
  latencies.report(state);
}
BENCHMARK(BM_Channel_Spawn)->Iterations(kLives)->UseRealTime();

// From SIGKILL to the error of the call that the worker was executing.
void BM_Death_Detection(benchmark::State& state) {
  using std::chrono::milliseconds;
  Config config;
  config.pool_size = 1;
  config.overflow = 0;
  config.log_level = LogLevel::kOff;
  config.circuit_breaker.enabled = false;  // a worker dies in each iteration
  config.worker = worker_config(spin_us(Waiting::kSpin));
  auto engine = Engine::start(std::move(config));
  if (!engine) return state.SkipWithError(engine.error().describe().c_str());
  Latencies latencies(state);
  for (auto _ : state) {
    const auto ready = (*engine)->execute_in_session("life", "increment", {});
    if (!ready) return state.SkipWithError(ready.error().describe().c_str());
    const std::int32_t pid = (*engine)->health_check().workers.at(0).pid;
    std::promise<Latencies::Clock::time_point> seen;
    (*engine)->submit("life", "sleep", Value{{"ms", 10'000}},
                      [&](const Result<Answer>&) { seen.set_value(Latencies::Clock::now()); });
    std::this_thread::sleep_for(milliseconds(2));  // so that it runs
    const auto killed = Latencies::Clock::now();
    ::kill(pid, SIGKILL);
    const auto took = seen.get_future().get() - killed;
    latencies.record(took);
    state.SetIterationTime(std::chrono::duration<double>(took).count());
  }
  latencies.report(state);
}
BENCHMARK(BM_Death_Detection)->Iterations(kLives)->UseManualTime();

}  // namespace
}  // namespace dspool::bench
