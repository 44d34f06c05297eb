// How long until an engine that is started on a store with so many sessions has answered a call in
// one of them? The start of the worker is included; with one session there is little else.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "bench/engine_under_test.h"
#include "bench/latencies.h"
#include "bench/store_directory.h"
#include "bench/workload.h"
#include "engine/store/rocksdb_store.h"
#include "engine/store/stored_record.h"

namespace dspool::bench {
namespace {

constexpr std::size_t kTogether = 4'096;  // sessions in one write to the store
constexpr benchmark::IterationCount kStarts = 7;
constexpr std::int64_t kStoredValue = 7;

// Sessions with one field each, as a commit of the command "increment" leaves them.
Result<void> make_sessions(const std::filesystem::path& directory, std::size_t count) {
  auto store = store::RocksDbStore::open(directory);
  if (!store) return tl::unexpected(std::move(store.error()));
  const auto owner = (*store)->own();
  if (!owner) return tl::unexpected(owner.error());
  const store::StoredTerms terms{.ttl = std::chrono::hours(24),
                                 .created = std::chrono::system_clock::now()};
  const Value value = Value::of(kStoredValue);
  session::Delta delta;
  delta.puts.push_back({.key = "value", .value = value.bytes()});
  std::vector<std::byte> record;
  store::append_commit({.version = 1, .state_id = 1, .operations = 1, .delta = &delta}, record);

  for (std::size_t made = 0; made < count;) {
    std::vector<std::string> ids;
    for (; made < count && ids.size() < kTogether; ++made) ids.push_back(session_name(made));
    std::vector<store::Write> writes;
    for (const std::string& id : ids) {
      writes.push_back(
          {.kind = store::Write::Kind::kBegin, .session = id, .records = {}, .terms = &terms});
      writes.push_back({.kind = store::Write::Kind::kAppend,
                        .session = id,
                        .records = record,
                        .terms = nullptr});
    }
    auto written = (*store)->write(*owner, writes, store::Sync::kNo);
    if (!written) return written;
  }
  return {};
}

void BM_Reopen(benchmark::State& state) {
  const auto sessions = static_cast<std::size_t>(state.range(0));
  const StoreDirectory directory;
  if (auto made = make_sessions(directory.path(), sessions); !made) {
    return state.SkipWithError(made.error().describe().c_str());
  }
  Config config = engine_config(Waiting::kSpin, 1);
  config.store.path = directory.path().string();
  const std::string last = session_name(sessions - 1);  // no listing has come to it by then
  Latencies latencies(state);
  for (auto _ : state) {
    const auto before = Latencies::Clock::now();
    const auto engine = Engine::start(config);
    if (!engine) return state.SkipWithError(engine.error().describe().c_str());
    const auto answer = (*engine)->execute_in_session(last, "read", {});
    const auto took = Latencies::Clock::now() - before;
    if (!answer) return state.SkipWithError(answer.error().describe().c_str());
    if (answer->value["value"].as_int64() != kStoredValue) {
      return state.SkipWithError("the session is not what was stored");
    }
    latencies.record(took);
    state.SetIterationTime(std::chrono::duration<double>(took).count());
  }
  latencies.report(state);
}
// Repeated once: to make the sessions takes longer than to start on them.
BENCHMARK(BM_Reopen)
    ->ArgName("sessions")
    ->Arg(1)
    ->Arg(1'000'000)
    ->Iterations(kStarts)
    ->Repetitions(1)
    ->UseManualTime();

}  // namespace
}  // namespace dspool::bench
