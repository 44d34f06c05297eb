// What is simulated, as a person says it: each field is an option of `dspool simulate`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/error.h"

namespace dspool::simulation {

// Who decides where a call runs.
enum class Policy : std::uint8_t {
  kCentral,      // one queue; any worker takes any session, and none costs more
  kPinned,       // a session stays with the worker that had it first, and waits for that one alone
  kStealAtOnce,  // the worker where the session is warm if it is idle, else any other
  kDspool,       // the engine's: waits for the warm worker for as long as a miss would cost
};
[[nodiscard]] std::string_view to_string(Policy policy) noexcept;

struct Options {
  // The pool.
  std::uint32_t workers = 16;
  double service_ms = 50;  // mean of what a call takes on a worker where its session is warm
  double service_cv = 1;   // its standard deviation, in means; gamma-distributed
  double miss_ms = 2;      // how much more a call takes elsewhere
  std::vector<Policy> policies = {Policy::kDspool};  // one after the other, with the same calls
  std::optional<std::uint32_t> queue = {};           // calls that may wait; by default, all

  // The calls.
  std::optional<std::uint32_t> sessions = {};
  std::optional<double> zipf = {};  // exponent of the sessions' popularity; 0: all are alike
  std::optional<double> load = {};  // share of what the workers can do without misses
  std::string trace_file = {};      // empty: independent arrivals
  std::optional<double> duration_seconds = {};  // simulated; a trace ends earlier
  std::uint64_t seed = 1;

  // Instead of `load`: the greatest one at which a hundredth of the calls wait for longer.
  std::optional<double> sustain_p99_ms = {};
};

inline constexpr std::uint32_t kDefaultSessions = 2'000;
inline constexpr double kDefaultLoad = 0.8;
inline constexpr double kDefaultDurationSeconds = 3'600;
// A sustained load is a multiple of a step.
inline constexpr std::uint32_t kSustainSteps = 200;
inline constexpr double kSustainStep = 1.0 / kSustainSteps;

// Whether the options fit together. Does not look at the trace. Errors: initialization /
// "invalid_options".
[[nodiscard]] Result<void> validate(const Options& options);
// The same, of how many calls arrive in all.
[[nodiscard]] Result<void> validate_calls(const Options& options, double calls);

// Of those that are tried.
[[nodiscard]] double lowest_load(const Options& options) noexcept;
[[nodiscard]] double highest_load(const Options& options) noexcept;

}  // namespace dspool::simulation
