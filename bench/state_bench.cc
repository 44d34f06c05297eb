// What does it cost to make a command's changes state, where every worker can read them?
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/latencies.h"
#include "engine/store/memory_store.h"
#include "ipc/state_segment.h"

namespace dspool::bench {
namespace {

constexpr std::size_t kMemoryBytes = std::size_t{256} << 20;

// A block taken and given back among others of its size.
void BM_StateSegment_Allocate(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  ipc::StateSegment segment(kMemoryBytes);
  std::vector<ipc::StateBlock> others;
  others.reserve(100);
  for (int i = 0; i < 100; ++i) others.push_back(segment.allocate(bytes, 0));
  Latencies::time_in_batches(state, [&] {
    const ipc::StateBlock block = segment.allocate(bytes, 0);
    benchmark::DoNotOptimize(block.bytes().data());
  });
}
BENCHMARK(BM_StateSegment_Allocate)->ArgName("bytes")->Arg(64)->Arg(1024)->Arg(32 * 1024);

// A small value is put over the one before.
void BM_Record_Put(benchmark::State& state) {
  ipc::StateSegment segment(kMemoryBytes);
  store::MemoryStore store(kMemoryBytes, segment);
  session::Record record;
  session::Delta delta;
  const Value value = Value::of(7);
  std::uint64_t state_id = 0;
  Latencies::time_in_batches(state, [&] {
    delta.puts.clear();
    delta.puts.push_back({.key = "value", .value = value.bytes()});
    record.apply(delta, store.prepare(record, delta).value(), ++state_id);
  });
}
BENCHMARK(BM_Record_Put);

// A turn is appended to a conversation that has so many, up to twice as many. Making the next one
// is in the mean; compare p50.
void BM_Record_Append(benchmark::State& state) {
  ipc::StateSegment segment(kMemoryBytes);
  store::MemoryStore store(kMemoryBytes, segment);
  session::Record record;
  const Value none = Value::list({});
  const Value turn = Value::list({std::string(200, 'x')});
  std::uint64_t state_id = 0;
  std::int64_t left = 0;
  const auto commit = [&](const Value& value, bool append) {
    session::Delta delta;
    (append ? delta.appends : delta.puts).push_back({.key = "turns", .value = value.bytes()});
    record.apply(delta, store.prepare(record, delta).value(), ++state_id);
  };
  const auto begin = [&] {
    commit(none, false);
    for (std::int64_t i = 0; i < state.range(0); ++i) commit(turn, true);
    left = state.range(0);
  };
  Latencies::time_in_batches(state, [&] {
    if (left-- == 0) begin();
    commit(turn, true);
  });
}
BENCHMARK(BM_Record_Append)->ArgName("turns")->Arg(1'000)->Arg(16'000);

}  // namespace
}  // namespace dspool::bench
