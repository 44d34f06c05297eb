// What the operations of a run came to. One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "dspool/error.h"
#include "engine/load/latency_recorder.h"

namespace dspool::loadtest {

struct Tally {
  struct Failures {
    std::uint64_t count = 0;
    std::string example = {};  // the first one's message
  };

  std::uint64_t successes = 0;
  std::uint64_t failures = 0;
  std::uint64_t damaged = 0;  // payloads that did not come back as they were sent
  std::map<std::pair<ErrorCategory, std::string>, Failures> errors;  // by category and code
  load::LatencyRecorder latencies;                                   // of successes
  // How long those took that the pool had no room for (resource_error).
  load::LatencyRecorder refusals;
  std::chrono::nanoseconds duration{0};  // from the first measured start to the last measured end

  void succeeded(std::chrono::nanoseconds latency) {
    ++successes;
    latencies.record(latency);
  }

  void failed(const Error& error, std::chrono::nanoseconds latency) {
    ++failures;
    if (error.category == ErrorCategory::kResourceError) refusals.record(latency);
    Failures& same = errors[{error.category, error.code}];
    if (same.count++ == 0) same.example = error.message;
  }
};

}  // namespace dspool::loadtest
