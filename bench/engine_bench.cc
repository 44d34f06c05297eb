// What does a call cost through the engine? The same calls to the same workers as those of the
// floor, by way of everything that makes them safe: session, queue, checkout, deadline, commit.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "bench/engine_under_test.h"
#include "bench/latencies.h"
#include "bench/workload.h"

namespace dspool::bench {
namespace {

// One call at a time: `make_call(engine)` makes one and returns what came of it.
template <typename MakeCall>
void call_again_and_again(benchmark::State& state, Waiting waiting, MakeCall&& make_call) {
  const auto engine = start_engine(state, waiting);
  if (!engine) return;
  const auto call = [&] {
    const Result<Answer> answer = make_call(*engine);
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
  const Value args = five_fields();
  call_again_and_again(state, waiting, [&, session = session_name(0)](Engine& engine) {
    return engine.execute_in_session(session, "echo", args);
  });
}
BENCHMARK_CAPTURE(BM_Engine_RoundTrip, spin, Waiting::kSpin)->UseRealTime();
BENCHMARK_CAPTURE(BM_Engine_RoundTrip, sleep, Waiting::kSleep)->UseRealTime();

// The same call in a session that begins and ends with it.
void BM_Engine_Anonymous(benchmark::State& state) {
  const Value args = five_fields();
  call_again_and_again(state, Waiting::kSpin,
                       [&](Engine& engine) { return engine.execute_anonymous("echo", args); });
}
BENCHMARK(BM_Engine_Anonymous)->UseRealTime();

// Each call changes a field of its session and so makes a version.
void BM_Engine_Commit(benchmark::State& state, Waiting waiting) {
  const Value args{{"by", 1}};
  call_again_and_again(state, waiting, [&, session = session_name(0)](Engine& engine) {
    return engine.execute_in_session(session, "increment", args);
  });
}
BENCHMARK_CAPTURE(BM_Engine_Commit, spin, Waiting::kSpin)->UseRealTime();
BENCHMARK_CAPTURE(BM_Engine_Commit, sleep, Waiting::kSleep)->UseRealTime();

// The same, by the name of its durability.
void BM_Commit_Memory(benchmark::State& state) { BM_Engine_Commit(state, Waiting::kSpin); }
BENCHMARK(BM_Commit_Memory)->UseRealTime();

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
  const auto engine = start_engine(state, Waiting::kSpin, kThroughputWorkers);
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
