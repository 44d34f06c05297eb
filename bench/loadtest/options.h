// What a load test is to do, as a person says it: each field is an option of `dspool loadtest`.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "dspool/config.h"
#include "dspool/error.h"
#include "engine/load/invalid_options.h"

namespace dspool::loadtest {

struct Options {
  // The pool.
  // loadtest, dspy, or package.module:Class; by default the configuration's.
  std::optional<std::string> adapter = {};
  std::optional<std::uint32_t> workers = {};
  std::optional<std::uint32_t> max_in_flight = {};
  std::optional<Affinity> affinity = {};
  std::optional<Durability> durability = {};
  std::string store = {};                  // the directory of the durable store
  std::string python = {};                 // empty: DSPOOL_PYTHON, then the configuration's
  std::string config_file = {};            // empty: the defaults
  std::optional<LogLevel> log_level = {};  // by default the file's; without one, warning

  // The load. Closed loop: `concurrency` operations are always outstanding. Open loop: they
  // arrive at `rate` per second, however long they take.
  std::optional<std::uint32_t> sessions = {};
  std::optional<std::uint64_t> ops = {};  // of each session
  std::optional<double> duration_seconds = {};
  std::optional<std::uint32_t> concurrency = {};
  std::optional<double> rate = {};
  std::optional<double> overload = {};  // a rate, as a multiple of what the pool can do
  std::optional<double> zipf = {};
  std::string trace_file = {};
  std::optional<double> speedup = {};
  std::string questions_file = {};
  double warmup_seconds = 0;
  std::uint64_t seed = 1;

  // Each operation.
  std::string command = {};  // empty: the adapter's usual one
  std::string args = {};     // JSON; empty: the command's usual ones
  std::optional<std::uint64_t> payload_bytes = {};
  std::optional<double> service_ms = {};  // that each increment waits
  std::optional<std::int64_t> timeout_ms = {};
  std::uint32_t max_retries = 0;

  // The language model.
  std::string api_base = {};  // empty: the offline model
  std::string model = {};
  std::optional<std::int64_t> offline_latency_ms = {};

  // What goes wrong, and what is kept.
  std::optional<double> kill_every_seconds = {};
  std::optional<double> kill_half_at_seconds = {};  // from the start of the load
  std::optional<double> churn_seconds = {};         // between changes of the pool
  std::string history_file = {};
};

inline constexpr std::uint32_t kDefaultSessions = 100;
inline constexpr std::uint64_t kDefaultOps = 100;
inline constexpr std::uint32_t kDefaultConcurrency = 16;
inline constexpr double kHighestRate = 10'000'000;
// Where something is to go wrong meanwhile, and nothing says how long that goes on.
inline constexpr std::chrono::seconds kDisturbedDuration{20};
// No load test runs longer unless it is told to.
inline constexpr std::chrono::minutes kDefaultDuration{10};

// Whether workers are killed, or the pool is changed.
[[nodiscard]] bool disturbs(const Options& options) noexcept;

using load::invalid_options;

// Whether the options fit together. Does not look at the files they name: without an `adapter`,
// it is taken to be loadtest.
[[nodiscard]] Result<void> validate(const Options& options);

}  // namespace dspool::loadtest
