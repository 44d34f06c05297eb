// What would a call cost if there were no engine? The same worker process, extension and codec,
// driven by hand (bare_worker.h): the denominator of the engine's budgets.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/bare_worker.h"
#include "bench/latencies.h"
#include "bench/workload.h"
#include "ipc/adaptive_spin.h"

namespace dspool::bench {
namespace {

std::unique_ptr<BareWorker> start(benchmark::State& state, Waiting waiting) {
  auto worker = BareWorker::start(waiting);
  if (worker) return *std::move(worker);
  state.SkipWithError(worker.error().describe().c_str());
  return nullptr;
}

// One request in flight: from an argument that is built to a result that is verified and owned.
void BM_Floor_RoundTrip(benchmark::State& state, Waiting waiting) {
  const auto worker = start(state, waiting);
  if (!worker) return;
  const Value args = five_fields();
  const std::string session = session_name(0);
  const auto call = [&] {
    if (!worker->send(session, "echo", args)) return false;
    worker->publish();
    auto answer = worker->receive();
    benchmark::DoNotOptimize(answer);
    return answer.has_value();
  };
  for (int i = 0; i < kWarmUpCalls && call(); ++i) continue;
  Latencies latencies(state);
  auto before = Latencies::Clock::now();
  for (auto _ : state) {
    if (!call()) {
      state.SkipWithError(worker->failure().c_str());
      break;
    }
    const auto now = Latencies::Clock::now();
    latencies.record(now - before);
    before = now;
  }
  latencies.report(state);
}
BENCHMARK_CAPTURE(BM_Floor_RoundTrip, spin, Waiting::kSpin)->UseRealTime();
BENCHMARK_CAPTURE(BM_Floor_RoundTrip, sleep, Waiting::kSleep)->UseRealTime();

// A worker whose ring is kept full.
class FullRing {
 public:
  static constexpr std::size_t kDepth = 8;

  FullRing(std::unique_ptr<BareWorker> worker, std::span<const std::string> sessions)
      : worker_(std::move(worker)), sessions_(sessions) {}

  [[nodiscard]] const BareWorker& worker() const noexcept { return *worker_; }

  // Puts a request into every free place.
  void fill(const Value& args) {
    if (asked_ - answered_ == kDepth) return;
    const auto now = Latencies::Clock::now();
    while (asked_ - answered_ < kDepth) {
      const std::size_t place = asked_ % kDepth;
      if (!worker_->send(sessions_[place], "echo", args)) break;
      sent_[place] = now;
      ++asked_;
    }
    worker_->publish();
  }

  // Takes what answers there are; how many there were. They come in the order of the requests.
  std::size_t take(Latencies& latencies) {
    const std::size_t before = answered_;
    while (auto answer = worker_->try_receive()) {
      benchmark::DoNotOptimize(answer);
      latencies.record(Latencies::Clock::now() - sent_[answered_++ % kDepth]);
    }
    return answered_ - before;
  }

 private:
  std::unique_ptr<BareWorker> worker_;
  std::span<const std::string> sessions_;
  std::array<Latencies::Clock::time_point, kDepth> sent_;
  std::size_t asked_ = 0;
  std::size_t answered_ = 0;
};

// Sixteen requests in flight from one thread, eight in each worker's ring: it takes the answers
// that are there, and puts as many requests in their place.
void BM_Floor_Throughput(benchmark::State& state) {
  constexpr benchmark::IterationCount kBatch = 1024;
  constexpr std::chrono::seconds kLongest{10};
  const auto sessions = session_names();
  const Value args = five_fields();
  std::vector<FullRing> rings;
  for (std::size_t first = 0; first < kOutstanding; first += FullRing::kDepth) {
    auto worker = start(state, Waiting::kSpin);
    if (!worker) return;
    rings.emplace_back(std::move(worker), std::span(sessions).subspan(first, FullRing::kDepth));
  }
  Latencies latencies(state, kBatch);
  ipc::AdaptiveSpin spin;
  spin.set_limit(kLongest);
  const auto run = [&](benchmark::IterationCount calls) {
    while (calls > 0) {
      for (FullRing& ring : rings) {
        calls -= static_cast<benchmark::IterationCount>(ring.take(latencies));
        ring.fill(args);
      }
      const auto answered = [](const FullRing& ring) { return ring.worker().has_records(); };
      if (!spin.spin([&] { return std::ranges::any_of(rings, answered); })) return false;
    }
    return true;
  };
  bool alive = run(kWarmUpCalls);
  latencies.forget();
  while (state.KeepRunningBatch(kBatch)) {
    alive = alive && run(kBatch);
    if (!alive) state.SkipWithError("a worker has stopped answering");
  }
  latencies.report(state);
}
BENCHMARK(BM_Floor_Throughput)
    ->ArgNames({"in_flight", "workers"})
    ->Args({kOutstanding, kOutstanding / FullRing::kDepth})
    ->UseRealTime();

}  // namespace
}  // namespace dspool::bench
