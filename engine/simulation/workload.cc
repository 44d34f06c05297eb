#include "engine/simulation/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/load/invalid_options.h"

namespace dspool::simulation {
namespace {

using std::chrono::nanoseconds;

std::uint32_t sessions_of(const Options& options, const load::Trace* trace) {
  if (trace != nullptr && !trace->session_ids.empty()) {
    return static_cast<std::uint32_t>(trace->session_ids.size());
  }
  return options.sessions.value_or(kDefaultSessions);
}

constexpr double kYearSeconds = 365.0 * 24 * 3'600;
constexpr double kLongestReplaySeconds = 50 * kYearSeconds;  // clocks hold it

nanoseconds whole(double ns) { return nanoseconds(std::llround(ns)); }

// With a coefficient of variation of 1, this is the exponential distribution.
std::gamma_distribution<double> gamma(double mean, double cv) {
  const double variance = cv > 0 ? cv * cv : 1;  // of what has a mean of 1
  return std::gamma_distribution<double>(1 / variance, mean * variance);
}

std::mt19937_64 stream(std::uint64_t seed, std::uint32_t number) {
  std::seed_seq sequence{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32U),
                         number};
  return std::mt19937_64(sequence);
}

}  // namespace

Result<void> validate(const Options& options, const load::Trace& trace) {
  if (!trace.session_ids.empty() && (options.sessions || options.zipf)) {
    return load::invalid_options(
        fmt::format("{} names its sessions: leave out --sessions and --zipf", options.trace_file));
  }
  if (trace.arrivals.back().at == nanoseconds(0)) {
    return load::invalid_options(
        fmt::format("{} has no two arrivals at different times, so that no pace gives a load: "
                    "leave out --trace, or give a longer one",
                    options.trace_file));
  }
  const double least_load = lowest_load(options);
  const auto calls = static_cast<double>(trace.arrivals.size());
  const double seconds = calls * options.service_ms / 1e3 / (least_load * options.workers);
  if (seconds > kLongestReplaySeconds) {
    return load::invalid_options(fmt::format(
        "{} has so few arrivals for {} workers that they take {:.3g} years: raise --load, or lower "
        "--service-ms",
        options.trace_file, options.workers, seconds / kYearSeconds));
  }
  return validate_calls(options, calls);
}

Workload::Workload(const Options& options, double load, const load::Trace* trace)
    : trace_(trace),
      sessions_(sessions_of(options, trace)),
      zipf_(sessions_, options.zipf.value_or(0)),
      mean_service_ns_(options.service_ms * 1e6),
      service_varies_(options.service_cv > 0),
      arrivals_random_(stream(options.seed, 0)),
      sessions_random_(stream(options.seed, 1)),
      services_random_(stream(options.seed, 2)),
      gap_ns_(load * options.workers / mean_service_ns_),
      service_ns_(gamma(mean_service_ns_, options.service_cv)) {
  const double seconds = options.duration_seconds.value_or(kDefaultDurationSeconds);
  duration_ = whole(seconds * 1e9);
  if (trace == nullptr) return;
  const auto recorded_ns = static_cast<double>(trace->arrivals.back().at.count());
  const auto gaps = static_cast<double>(trace->arrivals.size() - 1);
  pace_ = gap_ns_.lambda() * recorded_ns / gaps;
  const nanoseconds end = whole(recorded_ns / pace_) + nanoseconds(1);
  duration_ = options.duration_seconds ? std::min(duration_, end) : end;
}

std::optional<Job> Workload::next() {
  const std::optional<nanoseconds> at = next_arrival();
  if (!at || *at >= duration_) return std::nullopt;
  const bool named = trace_ != nullptr && !trace_->session_ids.empty();
  return Job{
      .at = *at,
      .session = named ? trace_->arrivals[replayed_ - 1].session : zipf_.draw(sessions_random_),
      .service = next_service()};
}

std::optional<nanoseconds> Workload::next_arrival() {
  if (trace_ == nullptr) {
    at_ns_ += gap_ns_(arrivals_random_);
    return whole(at_ns_);
  }
  if (replayed_ == trace_->arrivals.size()) return std::nullopt;
  return whole(static_cast<double>(trace_->arrivals[replayed_++].at.count()) / pace_);
}

nanoseconds Workload::next_service() {
  return whole(service_varies_ ? service_ns_(services_random_) : mean_service_ns_);
}

}  // namespace dspool::simulation
