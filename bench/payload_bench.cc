// What does it cost to show a worker a long argument? It is built already, Python sees it as a view
// and reads nothing of it; two copies of it are the measure.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include "bench/bare_worker.h"
#include "bench/latencies.h"
#include "bench/workload.h"
#include "dspool/engine.h"

namespace dspool::bench {
namespace {

constexpr int kFirstPayloads = 20;

void lengths(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("bytes")->Arg(65'536)->Arg(1'048'576)->Arg(16'777'216)->UseRealTime();
}

void BM_LargePayload(benchmark::State& state) {
  Config config;
  config.pool_size = 1;
  config.overflow = 0;
  config.log_level = LogLevel::kWarning;
  config.worker = worker_config(spin_us(Waiting::kSpin));
  auto engine = Engine::start(std::move(config));
  if (!engine) return state.SkipWithError(engine.error().describe().c_str());
  const auto bytes = static_cast<std::size_t>(state.range(0));
  const Value args{{"payload", std::vector<std::byte>(bytes, std::byte{42})}};
  const auto call = [&] {
    const auto answer = (*engine)->execute_in_session("payload", "measure", args);
    if (!answer) state.SkipWithError(answer.error().describe().c_str());
    return answer && answer->value.as_int64() == state.range(0);
  };
  for (int i = 0; i < kFirstPayloads && call(); ++i) continue;
  Latencies latencies(state);
  for (auto _ : state) {
    const auto before = Latencies::Clock::now();
    if (!call()) break;
    latencies.record(Latencies::Clock::now() - before);
  }
  latencies.report(state);
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_LargePayload)->Apply(lengths);

void BM_Memcpy2(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  const std::vector<std::byte> source(bytes, std::byte{42});
  std::vector<std::byte> between(bytes);
  std::vector<std::byte> target(bytes);
  Latencies latencies(state);
  for (auto _ : state) {
    const auto before = Latencies::Clock::now();
    std::memcpy(between.data(), source.data(), bytes);
    benchmark::DoNotOptimize(between.data());
    benchmark::ClobberMemory();
    std::memcpy(target.data(), between.data(), bytes);
    benchmark::DoNotOptimize(target.data());
    benchmark::ClobberMemory();
    latencies.record(Latencies::Clock::now() - before);
  }
  latencies.report(state);
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Memcpy2)->Apply(lengths);

}  // namespace
}  // namespace dspool::bench
