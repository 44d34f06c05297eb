// The calls that are simulated: when each arrives, in which session, and how long it takes where
// that is warm. A seed decides them, whatever becomes of them: every policy gets the same.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>

#include "engine/load/trace.h"
#include "engine/load/zipf_sampler.h"
#include "engine/simulation/options.h"

namespace dspool::simulation {

struct Job {
  std::chrono::nanoseconds at{0};  // since the beginning
  std::uint32_t session = 0;
  std::chrono::nanoseconds service{0};
};

// Errors: initialization / "invalid_options", where the options do not fit the trace.
[[nodiscard]] Result<void> validate(const Options& options, const load::Trace& trace);

class Workload {
 public:
  // `load` overrides that of the options. `trace`, if it is not null, says when calls arrive (it is
  // replayed at the pace that gives the load), and, where it names sessions, in which; it outlives
  // *this. REQUIRES: all of it is valid.
  Workload(const Options& options, double load, const load::Trace* trace);

  // The next in order of time; nothing: there are no more.
  [[nodiscard]] std::optional<Job> next();

  // Every job's session is below.
  [[nodiscard]] std::uint32_t sessions() const noexcept { return sessions_; }
  // All arrive before.
  [[nodiscard]] std::chrono::nanoseconds duration() const noexcept { return duration_; }

 private:
  [[nodiscard]] std::optional<std::chrono::nanoseconds> next_arrival();
  [[nodiscard]] std::chrono::nanoseconds next_service();

  const load::Trace* trace_;
  std::uint32_t sessions_;
  load::ZipfSampler zipf_;
  double mean_service_ns_;
  bool service_varies_;
  // One for each question, so that the answers to one do not depend on how many to another are
  // used.
  std::mt19937_64 arrivals_random_;
  std::mt19937_64 sessions_random_;
  std::mt19937_64 services_random_;
  std::exponential_distribution<double> gap_ns_;
  std::gamma_distribution<double> service_ns_;
  double pace_ = 1;  // the trace is so many times as fast
  std::chrono::nanoseconds duration_{0};
  double at_ns_ = 0;
  std::size_t replayed_ = 0;  // arrivals of the trace
};

}  // namespace dspool::simulation
