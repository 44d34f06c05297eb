// What does the session table cost over the map that it is made of? Ids are looked up in random
// order, so at a million sessions this counts cache misses: the bare map has two of them behind
// its bucket (its entry, the id), and so has the table (its entry, the session with its id and the
// count of its users).
#include <benchmark/benchmark.h>
#include <oneapi/tbb/concurrent_hash_map.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/latencies.h"
#include "bench/workload.h"
#include "engine/session/hot_allocator.h"
#include "engine/session/session.h"
#include "engine/session/session_table.h"

namespace dspool::bench {
namespace {

// Ids in the order in which they are asked for. They lie in memory in this order too, because a
// caller's id is at hand when it calls.
std::vector<std::string> shuffled_ids(std::size_t count) {
  std::vector<std::size_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  std::shuffle(numbers.begin(), numbers.end(), std::minstd_rand(42));  // NOLINT(cert-msc51-cpp)
  std::vector<std::string> ids;
  ids.reserve(count);
  for (const std::size_t number : numbers) ids.push_back(session_name(number));
  return ids;
}

class BareTable {
 public:
  void create(const std::string& id) {
    map_.emplace(id, session::make_session(id, session::TimePoint{}));
  }
  [[nodiscard]] const session::Session* find(std::string_view id) const {
    Map::const_accessor entry;
    return map_.find(entry, id) ? entry->second.get() : nullptr;
  }

 private:
  struct HashCompare {
    using is_transparent = void;  // NOLINT(readability-identifier-naming): oneTBB looks for it
    [[nodiscard]] std::size_t hash(std::string_view id) const noexcept {
      return session::hash_session_id(id);
    }
    [[nodiscard]] bool equal(std::string_view a, std::string_view b) const noexcept {
      return a == b;
    }
  };
  using Entry = std::pair<const std::string, session::SessionRef>;
  using Map = tbb::concurrent_hash_map<std::string, session::SessionRef, HashCompare,
                                       session::HotAllocator<Entry>>;

  mutable Map map_;  // mutable: oneTBB's transparent find is not const
};

class FullTable {
 public:
  void create(const std::string& id) {
    table_.find_or_create(id, [&] { return session::make_session(id, session::TimePoint{}); });
  }
  [[nodiscard]] session::SessionRef find(std::string_view id) const { return table_.find(id); }

 private:
  session::SessionTable table_;
};

// Kept for all repetitions: to fill a table takes longer than to measure it.
template <typename Table>
const Table& table_of(std::size_t sessions) {
  static std::vector<std::pair<std::size_t, std::unique_ptr<Table>>> tables;
  for (const auto& [size, table] : tables) {
    if (size == sessions) return *table;
  }
  auto table = std::make_unique<Table>();
  for (std::size_t i = 0; i < sessions; ++i) table->create(session_name(i));
  return *tables.emplace_back(sessions, std::move(table)).second;
}

template <typename Table>
void find_all(benchmark::State& state) {
  const auto sessions = static_cast<std::size_t>(state.range(0));
  const auto& table = table_of<Table>(sessions);
  const std::vector<std::string> ids = shuffled_ids(sessions);
  std::size_t next = 0;
  Latencies::time_in_batches(state, [&] {
    auto found = table.find(ids[next]);
    if (!found) state.SkipWithError("a session is missing");
    benchmark::DoNotOptimize(found);
    next = next + 1 == sessions ? 0 : next + 1;
  });
}

void BM_BareTable_Find(benchmark::State& state) { find_all<BareTable>(state); }
BENCHMARK(BM_BareTable_Find)->ArgName("sessions")->Arg(1'000)->Arg(1'000'000);

void BM_SessionTable_Find(benchmark::State& state) { find_all<FullTable>(state); }
BENCHMARK(BM_SessionTable_Find)->ArgName("sessions")->Arg(1'000)->Arg(1'000'000);

}  // namespace
}  // namespace dspool::bench
