// When operations start, and in which session. Times are measured from the beginning of the run.
// One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "bench/loadtest/session_picker.h"
#include "engine/load/trace.h"

namespace dspool::loadtest {

using Elapsed = std::chrono::nanoseconds;

// Operations that should start before `warmup` are executed and checked, but not measured; at
// `end`, no more start.
struct Window {
  Elapsed warmup{0};
  Elapsed end{Elapsed::max()};
};

struct Start {
  std::uint32_t session = 0;
  std::uint64_t index = 0;  // of the operation in its session; in a trace, of the arrival
  Elapsed intended{0};      // when it should start: its latency counts from here
  bool measured = true;
};

class Schedule {
 public:
  virtual ~Schedule() = default;

  // The next operation that should have started by `now`.
  virtual std::optional<Start> next(Elapsed now) = 0;
  // An operation of the session has ended.
  virtual void ended(std::uint32_t session) = 0;
  // When `next` may have something, even if no operation ends before.
  [[nodiscard]] virtual std::optional<Elapsed> next_at() const = 0;
  // Nothing will start any more.
  [[nodiscard]] virtual bool done() const = 0;
};

// A number of operations is always outstanding, at most one of each session: the next one starts
// when one has ended. Measures what the pool can do.
class ClosedLoop : public Schedule {
 public:
  ClosedLoop(std::unique_ptr<SessionPicker> picker, std::uint32_t sessions,
             std::uint32_t concurrency, Window window);

  std::optional<Start> next(Elapsed now) override;
  void ended(std::uint32_t session) override;
  [[nodiscard]] std::optional<Elapsed> next_at() const override { return std::nullopt; }
  [[nodiscard]] bool done() const override;

 private:
  std::unique_ptr<SessionPicker> picker_;
  std::vector<std::uint64_t> started_;  // of each session
  std::uint32_t concurrency_;
  Window window_;
  std::uint32_t outstanding_ = 0;
  bool ended_ = false;
};

// Operations arrive independently of each other (as a Poisson process) and of how long they take;
// a session may have several outstanding. Measures what callers feel.
class OpenLoop : public Schedule {
 public:
  // `rate` per second.
  OpenLoop(std::unique_ptr<SessionPicker> picker, std::uint32_t sessions, double rate,
           Window window, std::uint64_t seed);

  std::optional<Start> next(Elapsed now) override;
  void ended(std::uint32_t /*session*/) override {}
  [[nodiscard]] std::optional<Elapsed> next_at() const override { return next_at_; }
  [[nodiscard]] bool done() const override { return ended_; }

 private:
  std::unique_ptr<SessionPicker> picker_;
  std::vector<std::uint64_t> started_;  // of each session
  std::exponential_distribution<double> gap_seconds_;
  std::mt19937_64 random_;
  Window window_;
  Elapsed next_at_;
  bool ended_ = false;
};

// Operations arrive as they did when the trace was recorded, `speedup` times as fast.
class Replay : public Schedule {
 public:
  // REQUIRES: `arrivals` outlive *this and are in order of time.
  Replay(const std::vector<load::Arrival>& arrivals, double speedup, Window window);

  std::optional<Start> next(Elapsed now) override;
  void ended(std::uint32_t /*session*/) override {}
  [[nodiscard]] std::optional<Elapsed> next_at() const override;
  [[nodiscard]] bool done() const override;

 private:
  const std::vector<load::Arrival>& arrivals_;
  double speedup_;
  Window window_;
  std::size_t next_ = 0;
};

// Another schedule, whose starts from number `limit` on wait until `open` says so: with it, some
// operations happen after something else has, however few there are. After `patience` they start
// all the same.
class HeldBack : public Schedule {
 public:
  HeldBack(std::unique_ptr<Schedule> schedule, std::uint64_t limit, std::function<bool()> open,
           Elapsed patience);

  std::optional<Start> next(Elapsed now) override;
  void ended(std::uint32_t session) override { schedule_->ended(session); }
  [[nodiscard]] std::optional<Elapsed> next_at() const override;
  [[nodiscard]] bool done() const override { return schedule_->done(); }

 private:
  bool is_held(Elapsed now);

  std::unique_ptr<Schedule> schedule_;
  std::uint64_t left_;  // starts before it holds back
  std::function<bool()> open_;
  Elapsed patience_;
  std::optional<Elapsed> held_since_;
  std::optional<Elapsed> look_at_;  // again, while it holds back
};

}  // namespace dspool::loadtest
