// What does it cost to bring a session to another worker, by the size of its fields? A command has
// made them; then the session goes to and fro between two workers that are idle.
#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "bench/engine_under_test.h"
#include "bench/latencies.h"
#include "bench/workload.h"

namespace dspool::bench {
namespace {

void BM_Migrate(benchmark::State& state) {
  constexpr std::array<std::string_view, 2> kWorkers = {"worker-0", "worker-1"};
  const auto engine = start_engine(state, Waiting::kSpin, kWorkers.size());
  if (!engine) return;
  const std::string session = session_name(0);
  const FieldUpdate fields{
      .puts = {{"text", Value::of(std::string(static_cast<std::size_t>(state.range(0)), 'x'))}}};
  if (const auto made = engine->update_fields(session, fields); !made) {
    return state.SkipWithError(made.error().describe().c_str());
  }
  if (const auto read = engine->execute_in_session(session, "length", {}); !read) {
    return state.SkipWithError(read.error().describe().c_str());
  }
  const std::uint64_t before = engine->stats().migrations;
  std::size_t target = engine->get_session(session)->warm_worker == kWorkers[0] ? 1 : 0;
  Latencies::time_in_batches(state, [&] {
    const auto moved = engine->migrate_session(session, kWorkers.at(target));
    if (!moved) state.SkipWithError(moved.error().describe().c_str());
    target = 1 - target;
  });
  if (engine->stats().migrations == before) state.SkipWithError("nothing was moved");
}
BENCHMARK(BM_Migrate)->ArgName("bytes")->Arg(1 << 10)->Arg(64 << 10)->UseRealTime();

}  // namespace
}  // namespace dspool::bench
