// What does it cost to decide where a session runs, and does that depend on how many wait, or on
// how many sessions a dead worker had? On the dispatcher alone, with a transport that does nothing.
#include <benchmark/benchmark.h>

#include <chrono>
#include <deque>
#include <memory>
#include <vector>

#include "bench/bare_pool.h"
#include "bench/latencies.h"
#include "bench/workload.h"

namespace dspool::bench {
namespace {

constexpr dispatch::TimePoint kNow{std::chrono::hours(1)};

dispatch::Limits limits_of(Affinity affinity) {
  dispatch::Limits limits;
  limits.pipeline = 1;
  limits.queue = 10'000'000;
  limits.affinity = affinity;
  return limits;
}

class Callers {
 public:
  explicit Callers(BarePool& pool) : pool_(pool) {}

  void arrive(dispatch::Call& call, const session::SessionRef& session) {
    call.session = session;
    call.command = "echo";
    call.args = &args_;
    call.deadline = kNow + std::chrono::hours(24);
    pool_.arrive(call, kNow);
  }

 private:
  BarePool& pool_;
  const Value args_ = five_fields();
};

std::vector<session::SessionRef> make_sessions(std::size_t count) {
  std::vector<session::SessionRef> sessions;
  sessions.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    sessions.push_back(session::make_session(session_name(i), kNow));
  }
  return sessions;
}

// An idle pool of 16 workers; the session is warm at one of them, or nowhere matters.
void check_out(benchmark::State& state, Affinity affinity) {
  BarePool pool(16, limits_of(affinity));
  Callers callers(pool);
  const auto session = session::make_session(session_name(0), kNow);
  Latencies latencies(state);
  auto before = Latencies::Clock::now();
  for (auto _ : state) {
    dispatch::Call call;
    callers.arrive(call, session);
    if (!pool.answer(call, kNow)) {
      state.SkipWithError("the call was not sent");
      break;
    }
    const auto now = Latencies::Clock::now();
    latencies.record(now - before);
    before = now;
  }
  latencies.report(state);
}

void BM_Checkout_Warm(benchmark::State& state) { check_out(state, Affinity::kHint); }
BENCHMARK(BM_Checkout_Warm)->UseRealTime();

void BM_Checkout_Cold(benchmark::State& state) { check_out(state, Affinity::kOff); }
BENCHMARK(BM_Checkout_Cold)->UseRealTime();

// A worker answers, while so many sessions wait that are not warm there: what is looked through is
// the look-ahead, and no more.
void BM_Scheduler_Pick(benchmark::State& state) {
  const auto waiting = static_cast<std::size_t>(state.range(0));
  BarePool pool(1, limits_of(Affinity::kHint));
  pool.keep_nothing();  // so that nobody is found before the look-ahead ends
  Callers callers(pool);
  const auto sessions = make_sessions(waiting + 1);
  std::deque<dispatch::Call> calls(waiting + 1);
  for (std::size_t i = 0; i <= waiting; ++i) callers.arrive(calls[i], sessions[i]);
  std::size_t at = 0;  // the call that runs
  for (auto _ : state) {
    if (!pool.answer(calls[at], kNow)) {
      state.SkipWithError("the call was not sent");
      break;
    }
    benchmark::DoNotOptimize(pool.dispatcher().hand_off(kNow));
    const std::size_t next = at + 1 == calls.size() ? 0 : at + 1;
    std::destroy_at(&calls[at]);
    callers.arrive(*std::construct_at(&calls[at]), sessions[at]);  // behind all others
    at = next;
  }
  pool.dispatcher().stop(kNow);
  for (const dispatch::Call& call : calls) {
    if (call.request_id != 0) pool.answer(call, kNow);
  }
}
BENCHMARK(BM_Scheduler_Pick)->ArgName("waiting")->Arg(100)->Arg(100'000);

// Forgetting where a dead worker's sessions were warm. However many there are, they and what comes
// after them have left the caches.
void BM_WorkerLoss(benchmark::State& state) {
  BarePool pool(1, limits_of(Affinity::kHint));
  Callers callers(pool);
  const auto sessions = make_sessions(static_cast<std::size_t>(state.range(0)));
  const auto warm_up = [&] {
    for (const auto& session : sessions) {
      dispatch::Call call;
      callers.arrive(call, session);
      pool.answer(call, kNow);
    }
  };
  std::vector<char> other_memory(std::size_t{512} << 20);
  for (auto _ : state) {
    state.PauseTiming();
    warm_up();
    for (std::size_t line = 0; line < other_memory.size(); line += 64) ++other_memory[line];
    benchmark::DoNotOptimize(other_memory.data());
    state.ResumeTiming();
    pool.replace(0, kNow);
  }
}
BENCHMARK(BM_WorkerLoss)->ArgName("sessions")->Arg(1'000)->Arg(1'000'000)->Iterations(10);

}  // namespace
}  // namespace dspool::bench
