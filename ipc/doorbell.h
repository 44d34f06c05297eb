// How one side sleeps until the other has something for it. Two words of shared memory, each
// written by one side only: `sleeping` says which sleep the Sleeper is in (0: none), `doorbell`
// counts the Ringer's rings, and is the futex that is slept on.
//
//   the sleeper                                  the ringer
//   (A) reads the doorbell                       (P) stores the ring's tail, seq_cst
//   (B) exchanges `sleeping`, seq_cst            (D) loads `sleeping`, seq_cst
//   (L) looks at the ring's tail, seq_cst        (R) if it is set: bumps the doorbell, FUTEX_WAKE
//   (W) FUTEX_WAIT while the doorbell is (A)'s
//
// No wake-up is lost: (B), (L), (P) and (D) are in one order. If (P) is before (L), the look sees
// the record. If not, (D) is after (B), sees the sleep, and rings; (R) is then after (A), so that
// (W) does not begin, or ends.
//
// Crash: a side that dies at any step leaves the other with a bounded sleep or one ring in vain.
// Trust: a lying `sleeping` costs rings in vain, a lying `doorbell` sleeps in vain.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "ipc/futex.h"
#include "ipc/kill_point.h"

namespace dspool::ipc {

// Threads: one. Atomic: as in ring.h; its words come with a futex_wait and futex_wake_one.
template <template <typename> typename Atomic>
class BasicSleeper {
 public:
  using Word = Atomic<std::uint32_t>;

  // REQUIRES: both words are 0 and outlive *this.
  BasicSleeper(Word& sleeping, const Word& doorbell) noexcept
      : sleeping_(sleeping), doorbell_(doorbell) {}

  // Sleeps until rung, or until `longest` has passed. Does not sleep when `nothing_there()`, asked
  // after the sleep was announced and with a seq_cst load, is false.
  template <typename NothingThere>
  void sleep(const NothingThere& nothing_there, std::chrono::nanoseconds longest) noexcept {
    if (++sleep_count_ == 0) ++sleep_count_;
    const std::uint32_t rings = doorbell_.load(std::memory_order_acquire);  // (A)
    kill_point("sleep.begun");
    sleeping_.exchange(sleep_count_, std::memory_order_seq_cst);  // (B)
    kill_point("sleep.announced");
    if (nothing_there() &&                                                // (L)
        futex_wait(doorbell_, rings, longest) == FutexWait::kTimedOut &&  // (W)
        !nothing_there() && doorbell_.load(std::memory_order_acquire) == rings) {
      missed_rings_.fetch_add(1, std::memory_order_relaxed);
    }
    sleeping_.store(0, std::memory_order_relaxed);  // late: one ring too many
    kill_point("sleep.ended");
  }

  // How often a sleep ended only because it was bounded, and then there was something after all.
  // 0, unless the protocol is broken. Any thread may ask.
  [[nodiscard]] std::uint64_t missed_rings() const noexcept {
    return missed_rings_.load(std::memory_order_relaxed);
  }

 private:
  Word& sleeping_;
  const Word& doorbell_;
  std::uint32_t sleep_count_ = 0;
  std::atomic<std::uint64_t> missed_rings_ = 0;
};

// Threads: any.
template <template <typename> typename Atomic>
class BasicRinger {
 public:
  using Word = Atomic<std::uint32_t>;

  // REQUIRES: both words are 0, or the sleeper has begun; they outlive *this.
  BasicRinger(Word& doorbell, const Word& sleeping) noexcept
      : doorbell_(doorbell), sleeping_(sleeping) {}

  // Whether the sleeper has to be rung for what was published before; stays true until it is.
  [[nodiscard]] bool is_due() const noexcept {
    const std::uint32_t sleep = sleeping_.load(std::memory_order_seq_cst);  // (D)
    return sleep != 0 && sleep != rung_sleep_.load(std::memory_order_relaxed);
  }

  // Wakes the sleeper. One system call.
  void ring() noexcept {
    kill_point("doorbell.due");
    // The bump comes after this sleep began, so it ends it; further rings could add nothing.
    const std::uint32_t sleep = sleeping_.load(std::memory_order_seq_cst);
    doorbell_.fetch_add(1, std::memory_order_seq_cst);  // (R)
    kill_point("doorbell.bumped");
    rung_sleep_.store(sleep, std::memory_order_relaxed);
    futex_wake_one(doorbell_);
    kill_point("doorbell.rung");
  }

 private:
  Word& doorbell_;
  const Word& sleeping_;
  Word rung_sleep_ = 0;  // the sleep that the last ring ended
};

using Sleeper = BasicSleeper<std::atomic>;
using Ringer = BasicRinger<std::atomic>;

}  // namespace dspool::ipc
