// Keeps the pool's health: probes the workers beside the work, watches the rate of errors and the
// circuit breakers, and tells of changes.
//
// It looks at what is, not at what happened: a wake-up says no more than that something did. A look
// takes one short turn at the gate and waits for no worker.
//
// Threads: its own, which looks; any for the rest.
// Lock order: mutex_ -> the gate's, and the prober's.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dspool/alert.h"
#include "dspool/config.h"
#include "dspool/error.h"
#include "engine/dispatch/breaker_watch.h"
#include "engine/dispatch/error_rate.h"
#include "engine/dispatch/gate.h"
#include "engine/dispatch/observers.h"
#include "engine/dispatch/prober.h"
#include "engine/dispatch/waker.h"
#include "engine/telemetry/log.h"
#include "engine/telemetry/metrics.h"

namespace dspool::dispatch {

class HealthMonitor {
 public:
  struct Parts {
    const Gate& gate;
    Prober& prober;
    telemetry::Metrics& metrics;
    const telemetry::Log& log;
    Waker& wake;
  };

  // All parts outlive *this.
  HealthMonitor(const HealthConfig& config, const Parts& parts);
  ~HealthMonitor() { finish(); }
  HealthMonitor(const HealthMonitor&) = delete;
  HealthMonitor& operator=(const HealthMonitor&) = delete;

  void start();
  // Looks at nothing any more, and tells of nothing.
  void finish();

  // Asks the workers, for `patience` at most, and takes note of what that shows.
  [[nodiscard]] Health probe_now(std::chrono::milliseconds patience);
  // As it is, without asking.
  [[nodiscard]] Health health();
  // Why workers are not replaced as they die any more; nothing: they are.
  void set_no_starts(std::optional<Error> why);

  [[nodiscard]] Subscription observe_health(HealthObserver observer) {
    return changes_.subscribe(std::move(observer));
  }
  [[nodiscard]] Subscription observe_alerts(AlertObserver observer) {
    return alerts_.subscribe(std::move(observer));
  }

 private:
  void run();
  // What goes to the log, which is written outside of the lock.
  struct Line {
    LogLevel level = LogLevel::kInfo;
    std::string text{};
  };

  void sample(TimePoint now);
  void look();
  void look_at_breakers();
  [[nodiscard]] std::vector<BreakerInfo> breakers() const;
  void add_what_is_wrong(Health& health) const;           // REQUIRES: mutex_
  [[nodiscard]] std::string describe_error_rate() const;  // REQUIRES: mutex_
  [[nodiscard]] std::optional<Line> alert(AlertKind kind, bool is_raised,
                                          std::string message);  // REQUIRES: mutex_
  void write(const std::optional<Line>& line) const;
  void sleep_until(TimePoint until) const;

  const HealthConfig config_;
  const Parts parts_;
  const bool alerts_log_;
  const bool alerts_observers_;
  Observers<HealthChange> changes_;
  Observers<Alert> alerts_;

  std::mutex mutex_;  // guards what follows
  ErrorRate error_rate_;
  BreakerWatch breaker_watch_;
  std::optional<Error> no_starts_;
  HealthStatus status_ = HealthStatus::kUnhealthy;  // as told last
  bool finishing_ = false;

  std::thread thread_;
};

}  // namespace dspool::dispatch
