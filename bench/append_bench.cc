// Does it matter to `session["history"].append(turn)` how long the history is? The session is warm,
// and the list has so many turns, up to twice as many; then it is made anew, which is not timed.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/engine_under_test.h"
#include "bench/latencies.h"
#include "bench/workload.h"

namespace dspool::bench {
namespace {

constexpr std::size_t kWarmUp = 2'000;

void BM_Append(benchmark::State& state) {
  const auto engine = start_engine(state, Waiting::kSpin);
  if (!engine) return;
  const std::string session = session_name(0);
  const auto length = static_cast<std::size_t>(state.range(0));
  const std::vector<Value::Item> turns(length, Value::Item("What happens next?"));
  const FieldUpdate anew{.puts = {{"history", Value::list(turns)}}};
  const Value turn{{"item", "And after that?"}};
  const auto ended_well = [&](const Result<Answer>& answer) {
    if (!answer) state.SkipWithError(answer.error().describe().c_str());
    return answer.has_value();
  };
  const auto append = [&] {
    const auto answer = engine->execute_in_session(session, "append", turn);
    benchmark::DoNotOptimize(answer);
    return ended_well(answer);
  };
  std::size_t left = 0;
  // The first one is cold: the worker reads the whole list.
  const auto prepare = [&] {
    if (left-- != 0) return true;
    left = length;
    return ended_well(engine->update_fields(session, anew)) && append();
  };

  for (std::size_t i = 0; i < kWarmUp && prepare() && append(); ++i) continue;
  Latencies latencies(state);
  for (auto _ : state) {
    if (!prepare()) break;
    const auto before = Latencies::Clock::now();
    if (!append()) break;
    const auto took = Latencies::Clock::now() - before;
    latencies.record(took);
    state.SetIterationTime(std::chrono::duration<double>(took).count());
  }
  latencies.report(state);
}
BENCHMARK(BM_Append)->ArgName("length")->Arg(10)->Arg(100'000)->UseManualTime();

}  // namespace
}  // namespace dspool::bench
