#include "engine/dispatch/health_monitor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>

#include <algorithm>
#include <string>
#include <utility>

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;

// How often the counters are looked at: so much of the window, at most once and at least ten times
// a second.
constexpr int kSamplesPerWindow = 60;
constexpr milliseconds kShortestSample{100};
constexpr milliseconds kLongestSample{1'000};

bool contains(const std::vector<std::string>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

}  // namespace

HealthMonitor::HealthMonitor(const HealthConfig& config, const Parts& parts)
    : config_(config),
      parts_(parts),
      alerts_log_(contains(config.alert_destinations, "log")),
      alerts_observers_(contains(config.alert_destinations, "observers")),
      error_rate_({.threshold = config.error_rate_threshold,
                   .window = config.error_rate_window,
                   .least_calls = config.error_rate_min_calls}) {}

void HealthMonitor::start() {
  thread_ = std::thread([this] { run(); });
}

void HealthMonitor::finish() {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  parts_.wake.wake();
  if (thread_.joinable()) thread_.join();
  changes_.finish();
  alerts_.finish();
}

Health HealthMonitor::probe_now(milliseconds patience) {
  Health asked = parts_.prober.probe(patience);
  if (thread_.joinable()) look();
  const std::lock_guard lock(mutex_);
  add_what_is_wrong(asked);
  return asked;
}

Health HealthMonitor::health() {
  Health health = parts_.prober.judge();
  const std::lock_guard lock(mutex_);
  add_what_is_wrong(health);
  return health;
}

void HealthMonitor::set_no_starts(std::optional<Error> why) {
  std::optional<Line> line;
  {
    const std::lock_guard lock(mutex_);
    const bool is_news = no_starts_.has_value() != why.has_value();
    no_starts_ = std::move(why);
    if (is_news) {
      line = alert(AlertKind::kRestartsExhausted, no_starts_.has_value(),
                   no_starts_ ? no_starts_->message : "workers are replaced as they end again");
    }
  }
  write(line);
  parts_.wake.wake();
}

// ---- the thread ----

void HealthMonitor::run() {
  const milliseconds between_samples = std::clamp<milliseconds>(
      config_.error_rate_window / kSamplesPerWindow, kShortestSample, kLongestSample);
  TimePoint next_probe =
      config_.probe_interval.count() != 0 ? Gate::now() + config_.probe_interval : TimePoint::max();
  TimePoint next_sample = Gate::now();
  for (;;) {
    parts_.wake.clear();
    {
      const std::lock_guard lock(mutex_);
      if (finishing_) return;
    }
    const TimePoint now = Gate::now();
    if (now >= next_probe) {
      parts_.prober.ask();
      next_probe = now + config_.probe_interval;
    }
    if (now >= next_sample) {
      sample(now);
      next_sample = now + between_samples;
    }
    look();
    look_at_breakers();
    sleep_until(std::min(next_probe, next_sample));
  }
}

void HealthMonitor::sleep_until(TimePoint until) const {
  pollfd watched{.fd = parts_.wake.descriptor(), .events = POLLIN, .revents = 0};
  const auto left = std::chrono::ceil<milliseconds>(until - Gate::now()).count();
  ::poll(&watched, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
}

// Errors of category `session` are what callers asked for, and say nothing of the pool; nor does a
// call that its caller ended.
void HealthMonitor::sample(TimePoint now) {
  telemetry::Metrics& metrics = parts_.metrics;
  const std::uint64_t not_ours =
      metrics.errors_of(ErrorCategory::kSession).value() + metrics.calls_cancelled.value();
  const std::uint64_t errors = metrics.total_errors();
  std::optional<Line> line;
  {
    const std::lock_guard lock(mutex_);
    const bool was_too_high = error_rate_.is_too_high();
    error_rate_.sample(now, metrics.calls_ended.value(), errors - std::min(errors, not_ours));
    if (error_rate_.is_too_high() == was_too_high) return;
    line = alert(AlertKind::kErrorRate, !was_too_high, describe_error_rate());
  }
  write(line);
}

// Tells of what has changed since the last look.
void HealthMonitor::look() {
  Line line;
  {
    const std::lock_guard lock(mutex_);  // over all of it, so that changes are told in their order
    Health health = parts_.prober.judge();
    add_what_is_wrong(health);
    if (finishing_ || health.status == status_) return;
    const HealthStatus before = std::exchange(status_, health.status);
    const bool is_well = health.status == HealthStatus::kHealthy;
    line = {.level = is_well ? LogLevel::kInfo : LogLevel::kWarning,
            .text = fmt::format("the pool is {}, and was {}{}{}", to_string(health.status),
                                to_string(before), is_well ? "" : ": ",
                                fmt::join(health.reasons, "; "))};
    changes_.tell({.from = before, .to = health.status, .reasons = std::move(health.reasons)});
  }
  write(line);
}

// The log has a line for each change; that they are not as they should be is told as health.
void HealthMonitor::look_at_breakers() {
  std::vector<BreakerWatch::Change> changes;
  {
    const std::lock_guard lock(mutex_);
    if (finishing_) return;
    changes = breaker_watch_.look(breakers());
  }
  for (BreakerWatch::Change& change : changes) {
    write(Line{.level = change.level, .text = std::move(change.text)});
  }
}

std::vector<BreakerInfo> HealthMonitor::breakers() const {
  return parts_.gate.ask(
      [](const Dispatcher& dispatcher, TimePoint now) { return dispatcher.breakers(now); });
}

void HealthMonitor::add_what_is_wrong(Health& health) const {
  health.error_rate = error_rate_.rate();
  if (error_rate_.is_too_high()) {
    health.reasons.push_back(describe_error_rate());
    if (health.status == HealthStatus::kHealthy) health.status = HealthStatus::kDegraded;
  }
  for (std::string& reason : reasons_of(breakers())) {
    health.reasons.push_back(std::move(reason));
    if (health.status == HealthStatus::kHealthy) health.status = HealthStatus::kDegraded;
  }
  if (!no_starts_ || health.status == HealthStatus::kHealthy) return;
  health.error = no_starts_;
  health.reasons.push_back(no_starts_->message);
}

std::string HealthMonitor::describe_error_rate() const {
  return fmt::format("{:.1f} % of the last {} calls ended with an error, {:.1f} % may",
                     100 * error_rate_.rate(), error_rate_.calls(),
                     100 * config_.error_rate_threshold);
}

std::optional<HealthMonitor::Line> HealthMonitor::alert(AlertKind kind, bool is_raised,
                                                        std::string message) {
  if (finishing_) return std::nullopt;
  std::optional<Line> line;
  if (alerts_log_) {
    line = {.level = is_raised ? LogLevel::kError : LogLevel::kInfo,
            .text = fmt::format("alert: {} {}: {}", to_string(kind),
                                is_raised ? "is raised" : "is over", message)};
  }
  if (alerts_observers_) {
    alerts_.tell({.kind = kind, .is_raised = is_raised, .message = std::move(message)});
  }
  return line;
}

void HealthMonitor::write(const std::optional<Line>& line) const {
  if (line && parts_.log.enabled(line->level)) parts_.log.write(line->level, line->text);
}

}  // namespace dspool::dispatch
