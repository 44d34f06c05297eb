// All that an engine counts and measures: the one list of it, by name. Parts are given the struct
// and add to its members; outlets visit it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "dspool/error.h"
#include "dspool/session.h"
#include "engine/telemetry/counter.h"
#include "engine/telemetry/histogram.h"

namespace dspool::telemetry {

inline constexpr std::size_t kErrorCategories = 9;
static_assert(static_cast<std::size_t>(ErrorCategory::kSystemError) + 1 == kErrorCategories);
inline constexpr std::size_t kSessionEnds = 4;
static_assert(static_cast<std::size_t>(SessionEnd::kStopped) + 1 == kSessionEnds);

// Why a call was not served.
enum class Refusal : std::uint8_t {
  kQueueFull,
  kSessionQueueFull,
  kOverloaded,
  kCheckoutTimeout,
  kCircuitOpen
};
inline constexpr std::array<std::string_view, 5> kRefusalNames = {
    "queue_full", "session_queue_full", "overloaded", "checkout_timeout", "circuit_open"};

// What an outlet calls a metric, as Prometheus does. Without a label, both its parts are empty.
struct MetricName {
  std::string_view name;
  std::string_view help;
  std::string_view label{};
  std::string_view label_value{};
};

struct Metrics {
  Counter calls_ended;
  std::array<Counter, kErrorCategories> errors;  // of calls that ended; see errors_of()
  Counter attempts;
  Counter retries;
  Counter retries_over_budget;
  Counter commits;
  Counter hydrations;
  Counter warm_hits;
  Counter misses;
  Counter steals;
  std::array<Counter, kRefusalNames.size()> refused;  // see refused_for()
  Counter late_answers;
  Counter chunks;
  Counter late_chunks;
  Counter input_tokens;
  Counter output_tokens;
  Counter recalls;
  Counter violations;
  Counter calls_cancelled;
  Counter calls_quarantined;
  Counter sessions_quarantined;
  Counter workers_lost;
  Counter worker_restarts;
  Counter workers_recycled;
  Counter migrations;
  std::array<Counter, kSessionEnds> sessions_ended;  // see ended_by()
  Counter sessions_evicted;
  Counter sessions_loaded;
  Counter store_writes;
  Counter store_failures;
  Counter store_retries;

  // As of the last collection (dispatch::Statistics).
  Gauge sessions;
  Gauge waiting;
  Gauge in_flight;

  Histogram response_time;
  Histogram queue_time;
  Histogram service_time;
  Histogram hydration_time;

  [[nodiscard]] Counter& errors_of(ErrorCategory category) noexcept {
    return errors[static_cast<std::size_t>(category)];
  }
  [[nodiscard]] Counter& ended_by(SessionEnd end) noexcept {
    return sessions_ended[static_cast<std::size_t>(end)];
  }
  [[nodiscard]] Counter& refused_for(Refusal reason) noexcept {
    return refused[static_cast<std::size_t>(reason)];
  }
  [[nodiscard]] std::uint64_t total_errors() const noexcept {
    std::uint64_t sum = 0;
    for (const Counter& of_category : errors) sum += of_category.value();
    return sum;
  }

  // Calls `visitor(const MetricName&, const Metric&)` for each metric; Metric is its kind.
  // Histograms are in nanoseconds, and named after seconds, in which outlets give them.
  template <typename Visitor>
  void visit(Visitor&& visitor) const;
};

template <typename Visitor>
void Metrics::visit(Visitor&& visitor) const {
  const auto show = [&visitor](MetricName name, const auto& metric) { visitor(name, metric); };

  show({"dspool_calls_total", "Calls that ended"}, calls_ended);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    show({"dspool_errors_total", "Calls that ended with an error", "category",
          to_string(static_cast<ErrorCategory>(i))},
         errors[i]);
  }
  show({"dspool_attempts_total", "Attempts sent to a worker"}, attempts);
  show({"dspool_retries_total", "Attempts that repeated a call"}, retries);
  show({"dspool_retries_over_budget_total", "Retries that were allowed, and not made"},
       retries_over_budget);
  show({"dspool_commits_total", "Commits to sessions"}, commits);
  show({"dspool_hydrations_total", "Attempts that carried a session's fields"}, hydrations);
  show({"dspool_warm_hits_total", "Attempts on a worker that had the session's fields"}, warm_hits);
  show({"dspool_misses_total", "Attempts on a worker that had not"}, misses);
  show({"dspool_steals_total", "Of these, such that another worker had them for"}, steals);
  for (std::size_t i = 0; i < refused.size(); ++i) {
    show({"dspool_refused_total", "Calls that were not served", "reason", kRefusalNames[i]},
         refused[i]);
  }
  show({"dspool_late_answers_total", "Answers to calls that had ended"}, late_answers);
  show({"dspool_chunks_total", "Chunks taken for callers who listen"}, chunks);
  show({"dspool_late_chunks_total", "Chunks for calls that had ended"}, late_chunks);
  show({"dspool_tokens_total", "Tokens that language models charged for", "direction", "input"},
       input_tokens);
  show({"dspool_tokens_total", "Tokens that language models charged for", "direction", "output"},
       output_tokens);
  show({"dspool_recalls_total", "Attempts taken back before they began"}, recalls);
  show({"dspool_violations_total", "Channels dropped for what a worker wrote"}, violations);
  show({"dspool_calls_cancelled_total", "Calls that their caller ended"}, calls_cancelled);
  show({"dspool_calls_quarantined_total", "Calls that ended a worker while they were alone there"},
       calls_quarantined);
  show({"dspool_sessions_quarantined_total", "Sessions that no worker was given any more"},
       sessions_quarantined);
  show({"dspool_workers_lost_total", "Deaths of workers that were not asked for"}, workers_lost);
  show({"dspool_worker_restarts_total", "Workers started in place of another"}, worker_restarts);
  show({"dspool_workers_recycled_total", "Workers replaced for their requests, age or memory"},
       workers_recycled);
  show({"dspool_migrations_total", "Sessions moved from one worker to another"}, migrations);
  for (std::size_t i = 0; i < sessions_ended.size(); ++i) {
    show({"dspool_sessions_ended_total", "Sessions that ended", "end",
          to_string(static_cast<SessionEnd>(i))},
         sessions_ended[i]);
  }
  show({"dspool_sessions_evicted_total", "Sessions whose fields left shared memory"},
       sessions_evicted);
  show({"dspool_sessions_loaded_total", "Sessions whose fields came from the durable store"},
       sessions_loaded);
  show({"dspool_store_writes_total", "Writes to the durable store, each of a group"}, store_writes);
  show({"dspool_store_failures_total", "Of these, such that failed"}, store_failures);
  show({"dspool_store_retries_total", "Ends of sessions that had to be written again"},
       store_retries);

  show({"dspool_sessions", "Sessions that exist"}, sessions);
  show({"dspool_calls_waiting", "Calls that wait for a worker or for their session"}, waiting);
  show({"dspool_attempts_in_flight", "Attempts that a worker has"}, in_flight);

  show({"dspool_response_time_seconds", "From a call's arrival to its end"}, response_time);
  show({"dspool_queue_time_seconds",
        "From a call's arrival to its first attempt, or its end without any"},
       queue_time);
  show({"dspool_hydration_time_seconds", "How long a worker took for fields that it had not"},
       hydration_time);
  show({"dspool_service_time_seconds", "How long a command ran, as its worker measured it"},
       service_time);
}

}  // namespace dspool::telemetry
