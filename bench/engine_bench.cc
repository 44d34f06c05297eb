// What does a call cost through the engine? The same calls to the same workers as those of the
// floor, by way of everything that makes them safe: session, queue, checkout, deadline, commit.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/bare_worker.h"
#include "bench/latencies.h"
#include "bench/workload.h"
#include "dspool/engine.h"
#include "ipc/layout.h"

namespace dspool::bench {
namespace {

std::unique_ptr<Engine> start(benchmark::State& state, Waiting waiting, std::uint32_t workers) {
  Config config;
  config.pool_size = workers;
  config.overflow = 0;
  config.log_level = LogLevel::kWarning;
  config.worker = worker_config(spin_us(waiting));
  auto engine = Engine::start(std::move(config));
  if (engine && (*engine)->wait_until_ready(std::chrono::seconds(60))) return *std::move(engine);
  state.SkipWithError(engine ? "not all workers are ready" : engine.error().describe().c_str());
  return nullptr;
}

// One call at a time, in one session.
void call_again_and_again(benchmark::State& state, Waiting waiting, std::string_view command,
                          const Value& args) {
  const auto engine = start(state, waiting, 1);
  if (!engine) return;
  const std::string session = session_name(0);
  const auto call = [&] {
    auto answer = engine->execute_in_session(session, command, args);
    benchmark::DoNotOptimize(answer);
    if (!answer) state.SkipWithError(answer.error().describe().c_str());
    return answer.has_value();
  };
  for (int i = 0; i < kWarmUpCalls && call(); ++i) continue;
  Latencies latencies(state);
  auto before = Latencies::Clock::now();
  for (auto _ : state) {
    if (!call()) break;
    const auto now = Latencies::Clock::now();
    latencies.record(now - before);
    before = now;
  }
  latencies.report(state);
}

void BM_Engine_RoundTrip(benchmark::State& state, Waiting waiting) {
  call_again_and_again(state, waiting, "echo", five_fields());
}
BENCHMARK_CAPTURE(BM_Engine_RoundTrip, spin, Waiting::kSpin)->UseRealTime();
BENCHMARK_CAPTURE(BM_Engine_RoundTrip, sleep, Waiting::kSleep)->UseRealTime();

// Each call changes a field of its session and so makes a version.
void BM_Engine_Commit(benchmark::State& state, Waiting waiting) {
  call_again_and_again(state, waiting, "increment", Value{{"by", 1}});
}
BENCHMARK_CAPTURE(BM_Engine_Commit, spin, Waiting::kSpin)->UseRealTime();
BENCHMARK_CAPTURE(BM_Engine_Commit, sleep, Waiting::kSleep)->UseRealTime();

// Sixteen calls outstanding, each in a session of its own, over two workers. One thread submits
// and one reads, and they are the same, as in the floor: each completion submits the next call, on
// the reactor. (A thread of its own for submitting would be a third runnable thread for every two
// cores, woken once a call.)
class Outstanding {
 public:
  Outstanding(Engine& engine, Latencies& latencies) : engine_(engine), latencies_(latencies) {}

  // Lets `calls` calls pass, and waits for all of them. false: one was refused.
  bool run(std::int64_t calls) {
    unsubmitted_ = calls;
    left_.store(calls, std::memory_order_relaxed);
    running_.store(true, std::memory_order_release);
    // The first ones come from here; the reactor has not been given the rest yet.
    std::int64_t first = std::min<std::int64_t>(calls, kOutstanding);
    unsubmitted_ -= first;
    while (first-- > 0) submit(static_cast<std::size_t>(first));
    running_.wait(true, std::memory_order_acquire);
    return !refused_.load(std::memory_order_relaxed);
  }

 private:
  void submit(std::size_t call) {
    sent_[call] = Latencies::Clock::now();
    engine_.submit(sessions_[call], "echo", args_,
                   [this, call](const Result<Answer>& answer) { ended(call, answer); });
  }

  void ended(std::size_t call, const Result<Answer>& answer) {
    latencies_.record(Latencies::Clock::now() - sent_[call]);
    if (!answer) refused_.store(true, std::memory_order_relaxed);
    if (unsubmitted_ > 0) {
      --unsubmitted_;
      submit(call);
    }
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      running_.store(false, std::memory_order_release);
      running_.notify_one();
    }
  }

  Engine& engine_;
  Latencies& latencies_;
  const std::array<std::string, kOutstanding> sessions_ = session_names();
  const Value args_ = five_fields();
  std::array<Latencies::Clock::time_point, kOutstanding> sent_;
  std::int64_t unsubmitted_ = 0;  // the reactor's, once the first are on their way
  std::atomic<std::int64_t> left_{0};
  std::atomic<bool> running_{false};
  std::atomic<bool> refused_{false};
};

void BM_Engine_Throughput(benchmark::State& state) {
  constexpr benchmark::IterationCount kBatch = 16'384;
  const auto engine = start(state, Waiting::kSpin, kThroughputWorkers);
  if (!engine) return;
  Latencies latencies(state, kBatch);
  Outstanding outstanding(*engine, latencies);
  outstanding.run(kWarmUpCalls);
  latencies.forget();
  while (state.KeepRunningBatch(kBatch)) {
    if (!outstanding.run(kBatch)) state.SkipWithError("a call was refused");
  }
  latencies.report(state);
}
BENCHMARK(BM_Engine_Throughput)
    ->ArgNames({"in_flight", "workers"})
    ->Args({kOutstanding, kThroughputWorkers})
    ->UseRealTime();

}  // namespace
}  // namespace dspool::bench
