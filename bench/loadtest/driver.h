// Runs a workload: one thread submits what the schedule says, takes what has ended, measures it
// and has it checked. There is no thread per session; thousands of operations may be outstanding.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "bench/loadtest/inbox.h"
#include "bench/loadtest/order_checker.h"
#include "bench/loadtest/tally.h"
#include "bench/loadtest/target.h"
#include "bench/loadtest/workload.h"

namespace dspool::loadtest {

struct Progress {
  Elapsed elapsed{0};
  std::uint64_t ended = 0;  // those of the warm-up too
  std::uint64_t failed = 0;
  std::uint64_t outstanding = 0;
};

struct DriverOptions {
  // With retries, each operation has an idempotency key of its own: "<seed>-<number>".
  CallOptions call = {};
  std::uint64_t seed = 1;
  // How long a call may take: its timeout, and a bound.
  std::chrono::milliseconds patience{40'000};
  // Called on the driver's thread.
  std::function<void(const Start&, const Result<Answer>&)> on_ended = {};
  std::function<void(const Progress&)> on_progress = {};  // a few times a second
};

class Driver {
 public:
  // REQUIRES: all of them outlive *this; the workload has not been run.
  Driver(Target& target, Workload& workload, OrderChecker& checker, DriverOptions options);

  // Until the schedule is done, or `stop` is set; then waits for what is outstanding. A call that
  // does not end within `patience` counts as a failure: system_error / "never_ended".
  Tally run(const std::atomic<bool>& stop);

 private:
  struct Outstanding {
    Start start = {};
    OrderChecker::Ticket ticket{};
    Elapsed submitted{0};
    bool waiting = false;
  };

  void submit(const Start& start, Elapsed now);
  void take(Inbox::Ended& ended);
  void give_up(Elapsed now);
  void end(const Outstanding& operation, Elapsed at, Result<Answer>& result);
  void check(const Outstanding& operation, const Answer& answer);
  [[nodiscard]] CallOptions call_options();
  [[nodiscard]] Elapsed elapsed() const { return Inbox::Clock::now() - began_; }

  Target& target_;
  Workload& workload_;
  OrderChecker& checker_;
  DriverOptions options_;
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  Inbox::Clock::time_point began_;
  std::vector<Outstanding> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::uint64_t keys_ = 0;              // given out so far
  std::optional<Elapsed> first_start_;  // of what is measured
  Elapsed last_end_{0};
  Progress progress_;
  Tally tally_;
};

}  // namespace dspool::loadtest
