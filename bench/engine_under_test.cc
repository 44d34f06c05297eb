#include "bench/engine_under_test.h"

#include <chrono>
#include <utility>

#include "bench/workload.h"

namespace dspool::bench {

Config engine_config(Waiting waiting, std::uint32_t workers) {
  Config config;
  config.pool_size = workers;
  config.overflow = 0;
  config.log_level = LogLevel::kWarning;
  config.worker = worker_config(spin_us(waiting));
  return config;
}

std::unique_ptr<Engine> start_engine(benchmark::State& state, Waiting waiting,
                                     std::uint32_t workers) {
  auto engine = Engine::start(engine_config(waiting, workers));
  if (engine && (*engine)->wait_until_ready(std::chrono::seconds(60))) return *std::move(engine);
  state.SkipWithError(engine ? "not all workers are ready" : engine.error().describe().c_str());
  return nullptr;
}

}  // namespace dspool::bench
