// One run of the driver: a pool, a workload and faults, and what is told of it afterwards.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/chaos/driver/fault.h"

namespace dspool::chaos {

struct TrialTerms {
  std::vector<const FaultKind*> faults;
  std::uint64_t seed = 1;
  std::chrono::milliseconds duration{2'000};
  std::chrono::milliseconds patience{20'000};  // for what must come to pass by itself
  std::uint32_t pool_size = 2;
  std::uint32_t max_in_flight = 1;  // of each worker
  bool forks = false;               // workers are forked instead of spawned
  bool breaks = false;              // the circuit breaker is on, and is soon tried again
  std::uint32_t callers = 4;
  std::uint32_t sessions = 12;
  std::filesystem::path directory;  // for the evidence; is there, and empty
  bool durable = false;             // sessions are `local`, in a store in the directory
  // samples.csv is written instead of calls and events, of which a long run has too many.
  bool soak = false;
};

// Writes run.json first, and rest.json last: where that is missing, the driver did not get there.
// Returns what the program is to return.
int run_trial(const TrialTerms& terms);

}  // namespace dspool::chaos
