// What did a call cost in the design that dspool replaces, at its best? The same adapter in Python,
// JSON over pipes, one request in flight for each worker, called from C++ without any pool around
// it: a floor of that design, as floor_bench.cc is of this one.
#include <benchmark/benchmark.h>
#include <poll.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "bench/json_pipe_worker.h"
#include "bench/latencies.h"
#include "bench/workload.h"

namespace dspool::bench {
namespace {

std::unique_ptr<JsonPipeWorker> start(benchmark::State& state) {
  auto worker = JsonPipeWorker::start();
  if (worker) return *std::move(worker);
  state.SkipWithError(worker.error().describe().c_str());
  return nullptr;
}

Value args_in(const std::string& session) {
  const Value fields = five_fields();
  return Value{{"session_id", session},
               {"question", fields["question"]},
               {"language", fields["language"]},
               {"max_tokens", fields["max_tokens"]},
               {"temperature", fields["temperature"]},
               {"stream", fields["stream"]}};
}

void BM_Peer_JsonPipe_RoundTrip(benchmark::State& state) {
  const auto worker = start(state);
  if (!worker) return;
  const Value args = args_in(session_name(0));
  const auto call = [&] {
    if (!worker->send("echo", args)) return false;
    auto answer = worker->receive();
    benchmark::DoNotOptimize(answer);
    return answer.has_value();
  };
  for (int i = 0; i < kWarmUpCalls && call(); ++i) continue;
  Latencies latencies(state);
  auto before = Latencies::Clock::now();
  for (auto _ : state) {
    if (!call()) {
      state.SkipWithError("the worker has ended");
      break;
    }
    const auto now = Latencies::Clock::now();
    latencies.record(now - before);
    before = now;
  }
  latencies.report(state);
}
BENCHMARK(BM_Peer_JsonPipe_RoundTrip)->UseRealTime();

// Sixteen callers that wait in line for two workers: each calls again as soon as it was answered.
void BM_Peer_JsonPipe_Throughput(benchmark::State& state) {
  constexpr benchmark::IterationCount kBatch = 256;
  struct Caller {
    Value args;
    Latencies::Clock::time_point called;
  };
  std::array<Caller, kOutstanding> callers;
  std::size_t next = 0;  // they are served in turn
  std::array<std::unique_ptr<JsonPipeWorker>, kThroughputWorkers> workers;
  std::array<Caller*, kThroughputWorkers> served{};
  std::array<pollfd, kThroughputWorkers> watched{};
  const auto sessions = session_names();
  for (std::size_t i = 0; i < kOutstanding; ++i) {
    callers[i] = {.args = args_in(sessions[i]), .called = Latencies::Clock::now()};
  }
  const auto serve_next = [&](std::size_t worker) {
    served[worker] = &callers[next++ % kOutstanding];
    return workers[worker]->send("echo", served[worker]->args);
  };
  for (std::size_t i = 0; i < kThroughputWorkers; ++i) {
    workers[i] = start(state);
    if (!workers[i]) return;
    watched[i] = {.fd = workers[i]->descriptor(), .events = POLLIN, .revents = 0};
  }
  Latencies latencies(state, kBatch);
  const auto run = [&](benchmark::IterationCount calls) {
    while (calls > 0) {
      if (::poll(watched.data(), watched.size(), -1) < 0) return false;
      for (std::size_t i = 0; i < kThroughputWorkers; ++i) {
        if (watched[i].revents == 0) continue;
        const auto answer = workers[i]->receive();
        if (!answer) return false;
        const auto now = Latencies::Clock::now();
        latencies.record(now - served[i]->called);
        served[i]->called = now;
        --calls;
        if (!serve_next(i)) return false;
      }
    }
    return true;
  };
  bool well = serve_next(0) && serve_next(1) && run(kWarmUpCalls);
  latencies.forget();
  while (state.KeepRunningBatch(kBatch)) {
    well = well && run(kBatch);
    if (!well) state.SkipWithError("a worker has ended");
  }
  latencies.report(state);
}
BENCHMARK(BM_Peer_JsonPipe_Throughput)->UseRealTime();

}  // namespace
}  // namespace dspool::bench
