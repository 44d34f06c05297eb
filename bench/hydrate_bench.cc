// What does a call cost whose worker has not got the session's fields? There are sixteen, and the
// command reads one. Warm, the worker has them all, decoded. Cold, it is told where they are, reads
// one in place, and before it answers copies the others for the next call.
//
// The worker of a cold call had the session before, but one of its fields has been written since.
// So every call is cold on one and the same worker, and the engine knows that it is: no caller
// learns of a miss, no process starts, and no extent is mapped for the first time.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "bench/engine_under_test.h"
#include "bench/latencies.h"
#include "bench/workload.h"

namespace dspool::bench {
namespace {

constexpr std::size_t kFields = 16;
constexpr int kWarmUpCalls = 1'000;

enum class Fields : std::uint8_t { kWarm, kCold };

std::string key_of(std::size_t field) { return fmt::format("field-{:02}", field); }

void hydrate(benchmark::State& state, Fields fields) {
  const auto engine = start_engine(state, Waiting::kSpin);
  if (!engine) return;
  const std::string session = session_name(0);
  const Value text =
      Value::of(std::string(static_cast<std::size_t>(state.range(0)) / kFields, 'x'));
  FieldUpdate all;
  for (std::size_t i = 0; i < kFields; ++i) all.puts.emplace_back(key_of(i), text);
  const FieldUpdate another{.puts = {{key_of(kFields - 1), text}}};
  const auto ended_well = [&](const Result<Answer>& answer) {
    if (!answer) state.SkipWithError(answer.error().describe().c_str());
    return answer.has_value();
  };
  const auto read = [&](const Value& args) {
    const auto answer = engine->execute_in_session(session, "length", args);
    benchmark::DoNotOptimize(answer);
    return ended_well(answer);
  };
  const auto prepare = [&] {
    return fields == Fields::kWarm || ended_well(engine->update_fields(session, another));
  };

  if (!ended_well(engine->update_fields(session, all))) return;
  if (!read({})) return;  // all of them, so that all are kept: unread, 256 KiB would be
  const Value one_field{{"key", key_of(kFields / 2)}};
  for (int i = 0; i < kWarmUpCalls && prepare() && read(one_field); ++i) continue;
  const std::uint64_t hydrations = engine->stats().hydrations;
  Latencies latencies(state);
  for (auto _ : state) {
    if (!prepare()) break;
    const auto before = Latencies::Clock::now();
    if (!read(one_field)) break;
    const auto took = Latencies::Clock::now() - before;
    latencies.record(took);
    state.SetIterationTime(std::chrono::duration<double>(took).count());
  }
  const auto hydrated =
      static_cast<benchmark::IterationCount>(engine->stats().hydrations - hydrations);
  if (hydrated != (fields == Fields::kCold ? state.iterations() : 0)) {
    state.SkipWithError("calls were not all as warm or as cold as they were to be");
  }
  latencies.report(state);
}

void BM_Hydrate_Warm(benchmark::State& state) { hydrate(state, Fields::kWarm); }
void BM_Hydrate_Cold(benchmark::State& state) { hydrate(state, Fields::kCold); }

void of_all_sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("bytes")->Arg(1 << 10)->Arg(16 << 10)->Arg(1 << 20)->UseManualTime();
}
BENCHMARK(BM_Hydrate_Warm)->Apply(of_all_sizes);
BENCHMARK(BM_Hydrate_Cold)->Apply(of_all_sizes);

}  // namespace
}  // namespace dspool::bench
