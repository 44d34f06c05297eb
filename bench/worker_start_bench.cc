// What does it cost to start a worker whose adapter takes long to import, and what memory does it
// have to itself: as an interpreter of its own, or as a fork of one that has imported the adapter?
// From the making of its channel to its first word.
#include <benchmark/benchmark.h>
#include <poll.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "bench/bare_worker.h"
#include "bench/latencies.h"
#include "bench/workload.h"
#include "engine/telemetry/log.h"
#include "engine/worker/fork_server.h"

namespace dspool::bench {
namespace {

constexpr benchmark::IterationCount kSpawns = 3;
constexpr benchmark::IterationCount kForks = 40;

WorkerConfig dspy_config() {
  WorkerConfig config = worker_config(spin_us(Waiting::kSleep));
  config.adapter = "dspool_worker.adapters.dspy:Dspy";
  return config;
}

// What the process has written and shares with nobody. 0: the kernel does not say, as it does not
// to a user who may not look into a worker.
double private_kib(int pid) {
  std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
  constexpr std::string_view kKey = "Private_Dirty:";
  for (std::string line; std::getline(rollup, line);) {
    if (line.starts_with(kKey)) return std::stod(line.substr(kKey.size()));
  }
  return 0;
}

void start_workers(benchmark::State& state, const WorkerConfig& config,
                   worker::ForkServer* fork_server) {
  Latencies latencies(state);
  std::vector<double> memory_kib;
  std::uint64_t epoch = 0;
  for (auto _ : state) {
    const auto before = Latencies::Clock::now();
    const auto worker = BareWorker::start(config, ++epoch, fork_server);
    latencies.record(Latencies::Clock::now() - before);
    if (!worker) return state.SkipWithError(worker.error().describe().c_str());
    memory_kib.push_back(private_kib((*worker)->pid()));
  }
  latencies.report(state);
  std::ranges::sort(memory_kib);
  state.counters["private_kib"] = memory_kib[memory_kib.size() / 2];
}

void BM_WorkerStart_Spawn(benchmark::State& state) { start_workers(state, dspy_config(), nullptr); }
BENCHMARK(BM_WorkerStart_Spawn)->Name("BM_WorkerStart/spawn")->Iterations(kSpawns)->UseRealTime();

void BM_WorkerStart_ForkServer(benchmark::State& state) {
  const WorkerConfig config = dspy_config();
  const telemetry::Log log(LogLevel::kWarning);
  worker::ForkServer fork_server(config, log);
  while (!fork_server.settle()) {
    std::vector<pollfd> watched;
    fork_server.watch(watched);
    ::poll(watched.data(), watched.size(), -1);
    fork_server.look();
  }
  start_workers(state, config, &fork_server);
}
BENCHMARK(BM_WorkerStart_ForkServer)
    ->Name("BM_WorkerStart/forkserver")
    ->Iterations(kForks)
    ->UseRealTime();

}  // namespace
}  // namespace dspool::bench
