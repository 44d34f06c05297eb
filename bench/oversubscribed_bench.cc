// What happens to a call when more threads want to run than there are cores? Pairs of a caller and
// a worker, all at once; each side looks before it sleeps, and takes a core from another pair.
#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/bare_worker.h"
#include "bench/latencies.h"
#include "bench/workload.h"
#include "dspool/engine.h"

namespace dspool::bench {
namespace {

constexpr std::size_t kPairs = 4;
constexpr benchmark::IterationCount kRoundTrips = 4'096;
constexpr int kFirstRoundTrips = 500;

using RoundTrip = std::function<bool()>;  // false: it failed

// Each of the pairs makes a quarter of the calls, in a thread of its own that lives as long as what
// `make_call` returns.
class Pairs {
 public:
  explicit Pairs(const std::function<RoundTrip(std::size_t)>& make_call) {
    for (std::size_t pair = 0; pair < kPairs; ++pair) {
      threads_.emplace_back([this, make_call, pair] { serve(make_call(pair), pair); });
    }
  }
  ~Pairs() {
    stopping_ = true;
    start_round();
    for (std::thread& thread : threads_) thread.join();
  }
  Pairs(const Pairs&) = delete;
  Pairs& operator=(const Pairs&) = delete;

  // false: a call failed.
  bool run(std::size_t calls_each) {
    calls_each_ = calls_each;
    for (auto& latencies : latencies_) latencies.clear();
    left_.store(kPairs);
    start_round();
    for (std::size_t left = kPairs; left != 0; left = left_.load()) left_.wait(left);
    return !failed_;
  }

  [[nodiscard]] const std::vector<Latencies::Clock::duration>& latencies(std::size_t pair) const {
    return latencies_.at(pair);
  }

 private:
  void start_round() {
    round_.fetch_add(1);
    round_.notify_all();
  }

  void serve(const RoundTrip& call, std::size_t pair) {
    if (!call) failed_ = true;
    for (std::uint64_t round = 0;; ++round) {
      round_.wait(round);
      if (stopping_) return;
      auto before = Latencies::Clock::now();
      for (std::size_t i = 0; i < calls_each_ && !failed_; ++i) {
        if (!call()) failed_ = true;
        const auto now = Latencies::Clock::now();
        latencies_.at(pair).push_back(now - before);
        before = now;
      }
      left_.fetch_sub(1);
      left_.notify_one();
    }
  }

  std::atomic<std::uint64_t> round_{0};
  std::atomic<std::size_t> left_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> failed_{false};
  std::size_t calls_each_ = 0;
  std::array<std::vector<Latencies::Clock::duration>, kPairs> latencies_;
  std::vector<std::thread> threads_;
};

void measure(benchmark::State& state, Pairs& pairs) {
  if (!pairs.run(kFirstRoundTrips)) return state.SkipWithError("a call failed while warming up");
  Latencies latencies(state, kRoundTrips);
  while (state.KeepRunningBatch(kRoundTrips)) {
    if (!pairs.run(kRoundTrips / kPairs)) state.SkipWithError("a call failed");
    for (std::size_t pair = 0; pair < kPairs; ++pair) {
      for (const auto latency : pairs.latencies(pair)) latencies.record(latency);
    }
  }
  latencies.report(state);
}

void BM_Floor_Oversubscribed(benchmark::State& state) {
  const Value args = five_fields();
  Pairs pairs([&args](std::size_t pair) -> RoundTrip {
    auto started = BareWorker::start(Waiting::kSpin);
    if (!started) return {};
    return [&args, session = session_name(pair),
            worker = std::shared_ptr<BareWorker>(std::move(*started))] {
      if (!worker->send(session, "echo", args)) return false;
      worker->publish();
      return worker->receive().has_value();
    };
  });
  measure(state, pairs);
}
BENCHMARK(BM_Floor_Oversubscribed)->ArgName("pairs")->Arg(kPairs)->UseRealTime();

void BM_Oversubscribed(benchmark::State& state) {
  Config config;
  config.pool_size = kPairs;
  config.overflow = 0;
  config.log_level = LogLevel::kWarning;
  config.worker = worker_config(spin_us(Waiting::kSpin));
  auto engine = Engine::start(std::move(config));
  if (!engine || !(*engine)->wait_until_ready(std::chrono::seconds(60))) {
    return state.SkipWithError("the workers are not ready");
  }
  const Value args = five_fields();
  Pairs pairs([&](std::size_t pair) -> RoundTrip {
    return [&args, &pool = **engine, session = session_name(pair)] {
      return pool.execute_in_session(session, "echo", args).has_value();
    };
  });
  measure(state, pairs);
}
BENCHMARK(BM_Oversubscribed)->ArgName("pairs")->Arg(kPairs)->UseRealTime();

}  // namespace
}  // namespace dspool::bench
