// What every round trip carries, and the worker that every rival starts: the same for all, or
// their ratios would mean nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "dspool/config.h"
#include "dspool/error.h"
#include "dspool/value.h"

namespace dspool::bench {

// A map of five fields, as a client of a language model might send it.
[[nodiscard]] Value five_fields();

// "session-000000000042": longer than what a std::string keeps inside itself.
[[nodiscard]] std::string session_name(std::size_t number);

// Throughput is measured with so many calls outstanding, each in a session of its own.
inline constexpr std::size_t kOutstanding = 16;
inline constexpr std::uint32_t kThroughputWorkers = 2;
[[nodiscard]] std::array<std::string, kOutstanding> session_names();

inline constexpr int kWarmUpCalls = 5'000;

// Why a worker of a benchmark does not run.
[[nodiscard]] tl::unexpected<Error> cannot_start(std::string why);

// DSPOOL_PYTHON with the adapter loadtest; the package is found on PYTHONPATH.
[[nodiscard]] WorkerConfig worker_config(std::uint32_t spin_us);

}  // namespace dspool::bench
