// The engine as benchmarks of calls start it: the workers that every rival has, and no others.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>

#include "bench/bare_worker.h"
#include "dspool/config.h"
#include "dspool/engine.h"

namespace dspool::bench {

[[nodiscard]] Config engine_config(Waiting waiting, std::uint32_t workers);

// All its workers are ready. Null: there is none, and the benchmark says why.
[[nodiscard]] std::unique_ptr<Engine> start_engine(benchmark::State& state, Waiting waiting,
                                                   std::uint32_t workers = 1);

}  // namespace dspool::bench
