#include "engine/simulation/options.h"

#include <fmt/format.h>

#include "engine/load/invalid_options.h"

namespace dspool::simulation {
namespace {

using load::invalid_options;

constexpr double kMostWorkers = 10'000;
constexpr double kMostSessions = 10'000'000;
constexpr double kHighestZipf = 5;
constexpr double kLeastMs = 1e-3;
constexpr double kMostMs = 3'600'000;
constexpr double kHighestCv = 10;
constexpr double kLeastLoad = 1e-4;
constexpr double kHighestLoad = 10;
constexpr double kMostQueued = 1e9;
constexpr double kLongestSeconds = 30.0 * 24 * 3600;
// Who asks for more has mistaken a unit, and would wait for days.
constexpr double kMostCalls = 1e9;
constexpr double kYearMs = 365.0 * 24 * 3'600'000;
constexpr double kLongestWorkMs = 50 * kYearMs;  // for one worker that does it all: clocks hold it

struct Range {
  std::string_view name;
  std::optional<double> value;
  double least;
  double most;
};

Result<void> check_ranges(const Options& o) {
  const auto number = [](const auto& value) {
    return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
  };
  const Range ranges[] = {
      {"--workers", o.workers, 1, kMostWorkers},
      {"--sessions", number(o.sessions), 1, kMostSessions},
      {"--zipf", o.zipf, 0, kHighestZipf},
      {"--service-ms", o.service_ms, kLeastMs, kMostMs},
      {"--service-cv", o.service_cv, 0, kHighestCv},
      {"--miss-ms", o.miss_ms, 0, kMostMs},
      {"--load", o.load, kLeastLoad, kHighestLoad},
      {"--queue", number(o.queue), 1, kMostQueued},
      {"--duration", o.duration_seconds, kLeastMs, kLongestSeconds},
      {"--sustain", o.sustain_p99_ms, 0, kMostMs},
  };
  for (const Range& range : ranges) {
    if (!range.value || (*range.value >= range.least && *range.value <= range.most)) continue;
    return invalid_options(fmt::format("{} must be between {} and {}, not {}", range.name,
                                       range.least, range.most, *range.value));
  }
  return {};
}

}  // namespace

std::string_view to_string(Policy policy) noexcept {
  switch (policy) {
    case Policy::kCentral:
      return "central";
    case Policy::kPinned:
      return "pinned";
    case Policy::kStealAtOnce:
      return "steal_at_once";
    case Policy::kDspool:
      return "dspool";
  }
  return "";
}

Result<void> validate(const Options& o) {
  if (o.policies.empty()) {
    return invalid_options("--policy needs one of central, pinned, steal_at_once, dspool");
  }
  if (o.sustain_p99_ms && o.load) {
    return invalid_options(
        "--sustain and --load exclude each other: --sustain looks for the load; give one of them");
  }
  if (o.sustain_p99_ms && o.queue) {
    return invalid_options(
        "--sustain and --queue exclude each other: a short queue refuses calls instead of letting "
        "them wait; leave out --queue");
  }
  if (auto checked = check_ranges(o); !checked || !o.trace_file.empty()) return checked;
  const double seconds = o.duration_seconds.value_or(kDefaultDurationSeconds);
  return validate_calls(o, highest_load(o) * o.workers / o.service_ms * 1e3 * seconds);
}

double lowest_load(const Options& o) noexcept {
  return o.sustain_p99_ms ? kSustainStep : highest_load(o);
}

double highest_load(const Options& o) noexcept {
  return o.sustain_p99_ms ? 1 : o.load.value_or(kDefaultLoad);
}

Result<void> validate_calls(const Options& o, double calls) {
  if (calls > kMostCalls) {
    return invalid_options(
        fmt::format("{:.3g} calls would arrive, and at most {:.0e} are simulated: lower --duration",
                    calls, kMostCalls));
  }
  if (calls * (o.service_ms + o.miss_ms) > kLongestWorkMs) {
    return invalid_options(fmt::format(
        "{:.3g} calls of {:g} ms and more are {:.3g} years of work, and at most {:.3g} are "
        "simulated: lower --duration, --service-ms or --miss-ms",
        calls, o.service_ms + o.miss_ms, calls * (o.service_ms + o.miss_ms) / kYearMs,
        kLongestWorkMs / kYearMs));
  }
  return {};
}

}  // namespace dspool::simulation
