// What does a call cost through the engine? The same calls to the same workers as those of the
// floor, by way of everything that makes them safe: session, queue, checkout, deadline, commit.
#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "bench/bare_worker.h"
#include "bench/latencies.h"
#include "bench/workload.h"
#include "dspool/engine.h"
#include "ipc/layout.h"

namespace dspool::bench {
namespace {

constexpr int kWarmUpCalls = 5'000;
constexpr std::uint32_t kWorkers = 2;  // of the throughput

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

// Calls that have ended, from the thread that runs completions to the one that submits. As many
// places as calls can be outstanding, so there is always one.
class Ended {
 public:
  void push(std::size_t call) noexcept {
    const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
    calls_[tail % kOutstanding] = call;
    tail_.store(tail + 1, std::memory_order_release);
    tail_.notify_one();
  }
  // Sleeps until there is one.
  std::size_t pop() noexcept {
    tail_.wait(head_, std::memory_order_acquire);
    return calls_[head_++ % kOutstanding];
  }

 private:
  std::array<std::size_t, kOutstanding> calls_{};
  std::uint32_t head_ = 0;
  alignas(ipc::kLineBytes) std::atomic<std::uint32_t> tail_{0};
};

// Sixteen calls outstanding from one thread, each in a session of its own, over two workers. The
// thread sleeps while it has nothing to submit: the cores are for the workers and the reactor.
void BM_Engine_Throughput(benchmark::State& state) {
  constexpr benchmark::IterationCount kBatch = 1024;
  const auto sessions = session_names();
  const Value args = five_fields();
  std::array<Latencies::Clock::time_point, kOutstanding> sent;
  Ended ended;
  std::atomic<bool> refused = false;
  const auto engine = start(state, Waiting::kSpin, kWorkers);
  if (!engine) return;
  Latencies latencies(state, kBatch);
  const auto submit = [&](std::size_t call) {
    sent[call] = Latencies::Clock::now();
    engine->submit(sessions[call], "echo", args, [&, call](const Result<Answer>& answer) {
      if (!answer) refused.store(true, std::memory_order_relaxed);
      ended.push(call);
    });
  };
  const auto run = [&](benchmark::IterationCount calls) {
    for (; calls > 0; --calls) {
      const std::size_t call = ended.pop();
      latencies.record(Latencies::Clock::now() - sent[call]);
      submit(call);
    }
    return !refused.load(std::memory_order_relaxed);
  };
  for (std::size_t call = 0; call < kOutstanding; ++call) submit(call);
  run(kWarmUpCalls);
  latencies.forget();
  while (state.KeepRunningBatch(kBatch)) {
    if (!run(kBatch)) state.SkipWithError("a call was refused");
  }
  latencies.report(state);
  for (std::size_t call = 0; call < kOutstanding; ++call) ended.pop();
}
BENCHMARK(BM_Engine_Throughput)
    ->ArgNames({"in_flight", "workers"})
    ->Args({kOutstanding, kWorkers})
    ->UseRealTime();

}  // namespace
}  // namespace dspool::bench
