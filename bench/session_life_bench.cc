// What do sessions cost that are created, that only exist, and that expire?
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <string>

#include "bench/bare_pool.h"
#include "bench/latencies.h"
#include "bench/workload.h"

namespace dspool::bench {
namespace {

using dispatch::TimePoint;
using std::chrono::milliseconds;

constexpr milliseconds kTtl{300'000};
constexpr milliseconds kTick{100};

void create(BarePool& pool, const std::string& id, TimePoint now, milliseconds ttl) {
  const auto made =
      pool.sessions().find_or_create(id, [&] { return session::make_session(id, now, ttl); });
  pool.dispatcher().touch(*made.first, now);
}

// Memory that this process shares with no other and has written to.
std::size_t private_bytes() {
  std::ifstream rollup("/proc/self/smaps_rollup");
  for (std::string word; rollup >> word;) {
    if (word != "Private_Dirty:") continue;
    std::size_t kib = 0;
    rollup >> kib;
    return kib << 10;
  }
  return 0;
}

// What so many sessions take: of their table, its index, the sessions and their timers.
std::size_t bytes_of(std::size_t sessions) {
  BarePool pool;
  const std::size_t before = private_bytes();
  for (std::size_t i = 0; i < sessions; ++i) create(pool, session_name(i), TimePoint{}, kTtl);
  return private_bytes() - before;
}

// The same, found out by a child process. Here what earlier benchmarks have given back would be
// taken again, and seem to cost nothing; a child's memory is its own as soon as it writes to it.
// 0: there was no child.
std::size_t bytes_in_child(std::size_t sessions) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return 0;
  const pid_t child = ::fork();
  if (child == 0) {
    const std::size_t bytes = bytes_of(sessions);
    ::_exit(::write(pipe[1], &bytes, sizeof bytes) == sizeof bytes ? 0 : 1);
  }
  ::close(pipe[1]);
  std::size_t bytes = 0;
  const bool told = child > 0 && ::read(pipe[0], &bytes, sizeof bytes) == sizeof bytes;
  ::close(pipe[0]);
  if (child > 0) ::waitpid(child, nullptr, 0);
  return told ? bytes : 0;
}

void BM_Session_Create(benchmark::State& state) {
  BarePool pool;
  std::size_t number = 0;
  const TimePoint now{};
  Latencies::time_in_batches(state, [&] { create(pool, session_name(number++), now, kTtl); });
}
BENCHMARK(BM_Session_Create);

// One tick of the clock, in which ten sessions expire, beside many that do not.
void BM_Expiry_Tick(benchmark::State& state) {
  constexpr int kExpireEachTick = 10;
  BarePool pool;
  TimePoint now{};
  const auto idle = static_cast<std::size_t>(state.range(0));
  for (std::size_t i = 0; i < idle; ++i) create(pool, session_name(i), now, kTtl);
  std::size_t number = idle;
  Latencies latencies(state);
  for (auto _ : state) {
    state.PauseTiming();
    for (int i = 0; i < kExpireEachTick; ++i) create(pool, session_name(number++), now, kTick);
    now += 2 * kTick;
    if (now >= TimePoint(kTtl / 2)) {  // the idle ones stay what they are
      state.SkipWithError("too many iterations");
      break;
    }
    state.ResumeTiming();
    const auto before = Latencies::Clock::now();
    while (pool.dispatcher().advance(now)) continue;
    latencies.record(Latencies::Clock::now() - before);
  }
  if (pool.sessions().size() != idle) state.SkipWithError("not what should have expired has");
  latencies.report(state);
}
BENCHMARK(BM_Expiry_Tick)->ArgName("idle")->Arg(1'000)->Arg(1'000'000)->Iterations(500);

// What a session takes that nobody has stored anything in.
void BM_IdleSessions(benchmark::State& state) {
  const auto sessions = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    const std::size_t bytes = bytes_in_child(sessions);
    if (bytes == 0) return state.SkipWithError("its memory could not be measured");
    state.counters["bytes_per_session"] =
        static_cast<double>(bytes) / static_cast<double>(sessions);
  }
}
BENCHMARK(BM_IdleSessions)->ArgName("sessions")->Arg(1'000'000)->Iterations(1)->UseRealTime();

}  // namespace
}  // namespace dspool::bench
