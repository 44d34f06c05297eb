#include "engine/resilience/circuit_breaker.h"

#include <algorithm>

namespace dspool::resilience {

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

CircuitBreaker::CircuitBreaker(const CircuitBreakerConfig& config) noexcept
    : config_(config), word_(Word{}.pack()), outcomes_(config.window) {}

std::optional<Permit> CircuitBreaker::try_acquire_slowly(std::uint64_t word,
                                                         TimePoint now) noexcept {
  for (;;) {
    const Word seen = Word::unpack(word);
    Word next;
    switch (seen.state) {
      case BreakerState::kClosed:
        return Permit{seen.generation};
      case BreakerState::kIsolated:
        return std::nullopt;
      case BreakerState::kOpen:
        if (now.time_since_epoch().count() < open_until_ns_.load(std::memory_order_relaxed)) {
          return std::nullopt;
        }
        next = seen.next(BreakerState::kHalfOpen);
        break;
      case BreakerState::kHalfOpen:
        if (seen.probes >= config_.probes) return std::nullopt;
        next = seen;
        break;
    }
    ++next.probes;
    if (word_.compare_exchange_weak(word, next.pack(), std::memory_order_acq_rel)) {
      return Permit{next.generation};
    }
  }
}

bool CircuitBreaker::record(Permit& permit, CallOutcome outcome, TimePoint now) noexcept {
  const Word seen = load();
  if (permit.generation != seen.generation) return false;
  if (seen.state != BreakerState::kClosed) {
    const std::uint32_t generation = permit.generation;
    permit = {};
    return record_probe(generation, outcome, now);
  }
  if (!config_.enabled || outcome == CallOutcome::kUnknown) return false;
  if (config_.error_rate_percent != 0) {
    outcomes_.add({.all = 1, .marked = outcome == CallOutcome::kFailure ? 1U : 0U}, now);
  }
  if (outcome == CallOutcome::kSuccess) {
    failures_in_row_ = 0;
    return true;
  }
  if (++failures_in_row_ >= config_.failure_threshold || fails_too_often(now)) open(now);
  return true;
}

// Others may take permits meanwhile, so the word may change, but not its generation.
bool CircuitBreaker::record_probe(std::uint32_t generation, CallOutcome outcome,
                                  TimePoint now) noexcept {
  if (outcome == CallOutcome::kFailure) {
    ++failures_in_row_;
    open(now);
    return true;
  }
  std::uint64_t word = word_.load(std::memory_order_acquire);  // (O)
  for (;;) {
    Word next = Word::unpack(word);
    if (next.generation != generation || next.state != BreakerState::kHalfOpen) return false;
    --next.probes;
    if (outcome == CallOutcome::kSuccess && ++next.successes >= config_.success_threshold) {
      close();
      return true;
    }
    if (word_.compare_exchange_weak(word, next.pack(), std::memory_order_acq_rel)) return true;
  }
}

bool CircuitBreaker::fails_too_often(TimePoint now) noexcept {
  if (config_.error_rate_percent == 0) return false;
  const Tally of_late = outcomes_.sum(now);
  return of_late.all >= config_.minimum_calls &&
         of_late.marked * 100 >= of_late.all * config_.error_rate_percent;
}

void CircuitBreaker::open(TimePoint now) noexcept {
  open_until_ns_.store((now + config_.timeout).time_since_epoch().count(),
                       std::memory_order_relaxed);
  enter(BreakerState::kOpen);
}

void CircuitBreaker::isolate() noexcept { enter(BreakerState::kIsolated); }

void CircuitBreaker::close() noexcept {
  failures_in_row_ = 0;
  outcomes_.clear();
  enter(BreakerState::kClosed);
}

void CircuitBreaker::enter(BreakerState state) noexcept {
  std::uint64_t word = word_.load(std::memory_order_acquire);
  while (!word_.compare_exchange_weak(word, Word::unpack(word).next(state).pack(),
                                      std::memory_order_acq_rel)) {  // (O)
  }
}

BreakerState CircuitBreaker::state(TimePoint now) const noexcept {
  const BreakerState state = load().state;
  const bool is_over = state == BreakerState::kOpen && retry_after(now).count() == 0;
  return is_over ? BreakerState::kHalfOpen : state;
}

std::chrono::milliseconds CircuitBreaker::retry_after(TimePoint now) const noexcept {
  if (load().state != BreakerState::kOpen) return std::chrono::milliseconds(0);
  const std::chrono::nanoseconds left(open_until_ns_.load(std::memory_order_relaxed) -
                                      now.time_since_epoch().count());
  return std::max(std::chrono::milliseconds(0), std::chrono::ceil<std::chrono::milliseconds>(left));
}

}  // namespace dspool::resilience
