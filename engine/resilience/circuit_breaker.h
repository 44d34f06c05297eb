// A circuit breaker: gives permits and is told outcomes. It runs no call, knows no clock and owns
// no thread.
//
//   closed --(failures)--> open --(timeout)--> half-open --(successes)--> closed
//                            ^------------------(a failure)-----'
//   any --(isolate)--> isolated --(close)--> closed
//
// Invariants
//   I1  each change of state begins a new generation. A permit carries the generation it was given
//       in, and what is told with a permit of an older one changes nothing: an outcome from before
//       the breaker opened says nothing about whether it may close.
//   I2  when it is half-open, at most `probes` permits of its generation are out. Each is given
//       back with the outcome that it is told with, kUnknown at the latest.
//
// Thread safety: try_acquire() and what only looks may be called by any thread, without a lock;
// everything else by one thread at a time.
// Memory order: open_until_ is written before the word that says "open".
//   (O) word_ (release) -> word_ (acquire)
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "dspool/circuit_breaker.h"
#include "engine/resilience/sliding_tally.h"

namespace dspool::resilience {

enum class CallOutcome : std::uint8_t {
  kSuccess,
  kFailure,
  kUnknown,  // the call says nothing about what the breaker guards
};

// What a call was let through with.
struct Permit {
  std::uint32_t generation = 0;  // 0: none, or it has been given back
};

class CircuitBreaker {
 public:
  explicit CircuitBreaker(const CircuitBreakerConfig& config) noexcept;

  // Nothing: the call is to be refused.
  [[nodiscard]] std::optional<Permit> try_acquire(TimePoint now) noexcept {
    const std::uint64_t word = word_.load(std::memory_order_acquire);  // (O)
    if (Word::unpack(word).state == BreakerState::kClosed) {
      return Permit{Word::unpack(word).generation};
    }
    return try_acquire_slowly(word, now);
  }
  // Whether nothing has opened or closed it since it let a call through with `permit`.
  [[nodiscard]] bool honours(Permit permit) const noexcept {
    return load().generation == permit.generation;
  }
  // What an attempt of the call came to. A call may tell more than one outcome while the breaker is
  // closed; a probe tells one, and its permit is taken back. false: it changes nothing.
  bool record(Permit& permit, CallOutcome outcome, TimePoint now) noexcept;

  void isolate() noexcept;
  void close() noexcept;

  [[nodiscard]] bool is_closed() const noexcept { return load().state == BreakerState::kClosed; }
  // An open one whose time is over is half-open, although nobody has asked it yet.
  [[nodiscard]] BreakerState state(TimePoint now) const noexcept;
  // kOpen: until it is half-open; else 0.
  [[nodiscard]] std::chrono::milliseconds retry_after(TimePoint now) const noexcept;
  [[nodiscard]] std::uint32_t failures_in_row() const noexcept { return failures_in_row_; }

 private:
  // The state, in one word of memory.
  struct Word {
    BreakerState state = BreakerState::kClosed;
    std::uint16_t probes = 0;     // kHalfOpen: permits that are out
    std::uint16_t successes = 0;  // kHalfOpen
    std::uint32_t generation = 1;

    [[nodiscard]] static Word unpack(std::uint64_t word) noexcept {
      constexpr std::uint64_t kTwelveBits = 0xFFF;
      return {.state = static_cast<BreakerState>(word & 0xFF),
              .probes = static_cast<std::uint16_t>(word >> 8 & kTwelveBits),
              .successes = static_cast<std::uint16_t>(word >> 20 & kTwelveBits),
              .generation = static_cast<std::uint32_t>(word >> 32)};
    }
    [[nodiscard]] std::uint64_t pack() const noexcept {
      return static_cast<std::uint64_t>(state) | std::uint64_t{probes} << 8 |
             std::uint64_t{successes} << 20 | std::uint64_t{generation} << 32;
    }
    [[nodiscard]] Word next(BreakerState to) const noexcept {
      const std::uint32_t following = generation + 1;
      return {.state = to, .generation = following == 0 ? 1 : following};
    }
  };

  [[nodiscard]] Word load() const noexcept {
    return Word::unpack(word_.load(std::memory_order_acquire));  // (O)
  }
  [[nodiscard]] std::optional<Permit> try_acquire_slowly(std::uint64_t word,
                                                         TimePoint now) noexcept;
  bool record_probe(std::uint32_t generation, CallOutcome outcome, TimePoint now) noexcept;
  [[nodiscard]] bool fails_too_often(TimePoint now) noexcept;
  void open(TimePoint now) noexcept;
  void enter(BreakerState state) noexcept;

  const CircuitBreakerConfig config_;
  std::atomic<std::uint64_t> word_;
  std::atomic<std::int64_t> open_until_ns_{0};
  // On a line of its own: it is written with each outcome.
  alignas(64) std::uint32_t failures_in_row_ = 0;
  SlidingTally outcomes_;  // `marked`: failures
};

}  // namespace dspool::resilience
