// How the engine takes back requests that lie in a worker's ring and have not begun. Both sides
// count a channel's requests in the order in which they are sent; two words of shared memory, each
// written by one side only, say how far each has come.
//
//   the worker, before it begins request n       the engine, taking back
//   (T) stores `claimed` = n, seq_cst            (R) stores `recalled` = all it has sent, seq_cst
//   (L) loads `recalled`, seq_cst                (D) loads `claimed`, seq_cst
//   begins n, if n is above what it has loaded   what is above what it has loaded is taken back
//
// Nothing that was taken back begins. (T), (L), (R) and (D) are in one order: if (D) does not see
// the claim of n, it comes before (T), so that (L) comes after (R), and sees the recall.
// The engine may see the claim of a request and the worker its recall as well: then it is not taken
// back, and does not begin either. So a worker answers for each request once, whether it has begun
// it or not, and the engine sends those to others that it took back, or that came back so.
//
// `recalled` only grows: what is sent after a recall is above it, and begins.
//
// Crash: a side that dies at any step has claimed one request that it did not begin, or recalled
// what nobody takes back: neither matters to who is left, who drops the channel.
// Trust: `claimed` is the worker's word. One that begins what it has not claimed gives two answers
// to one request, and is found out by the second.
#pragma once

#include <atomic>
#include <cstdint>

#include "ipc/kill_point.h"

namespace dspool::ipc {

// The worker's side. Threads: one at a time. Atomic: as in ring.h.
template <template <typename> typename Atomic>
class BasicClaimer {
 public:
  using Word = Atomic<std::uint64_t>;

  // REQUIRES: `claimed` is 0; both words outlive *this.
  BasicClaimer(Word& claimed, const Word& recalled) noexcept
      : claimed_(claimed), recalled_(recalled) {}

  // To be called once for each request, in their order, before anything is done for it. false: it
  // was recalled, and must not begin.
  [[nodiscard]] bool claim() noexcept {
    claimed_.store(++count_, std::memory_order_seq_cst);  // (T)
    kill_point("claim.published");
    const std::uint64_t recalled = recalled_.load(std::memory_order_seq_cst);  // (L)
    return count_ > recalled;
  }

 private:
  Word& claimed_;
  const Word& recalled_;
  std::uint64_t count_ = 0;
};

// The engine's side. Threads: one at a time.
template <template <typename> typename Atomic>
class BasicRecaller {
 public:
  using Word = Atomic<std::uint64_t>;

  // REQUIRES: both words are 0 and outlive *this.
  BasicRecaller(Word& recalled, const Word& claimed) noexcept
      : recalled_(recalled), claimed_(claimed) {}

  // One more request is there. To be called before it is published.
  void count_request() noexcept { ++sent_; }
  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }

  // How many of the requests, from the first on, the worker has claimed; as many as were sent once
  // it has lied.
  [[nodiscard]] std::uint64_t claimed() noexcept {
    const auto claimed = claimed_.load(std::memory_order_seq_cst);  // (D)
    if (claimed < known_claimed_ || claimed > sent_) {
      violated_ = true;
    } else {
      known_claimed_ = claimed;
    }
    return violated_ ? sent_ : known_claimed_;
  }

  // Takes back all that were not claimed: those behind the first so many.
  [[nodiscard]] std::uint64_t recall() noexcept {
    recalled_.store(sent_, std::memory_order_seq_cst);  // (R)
    kill_point("recall.published");
    return claimed();
  }

  // True once the worker has claimed what cannot be.
  [[nodiscard]] bool violated() const noexcept { return violated_; }

 private:
  Word& recalled_;
  const Word& claimed_;
  std::uint64_t sent_ = 0;
  std::uint64_t known_claimed_ = 0;
  bool violated_ = false;
};

using Claimer = BasicClaimer<std::atomic>;
using Recaller = BasicRecaller<std::atomic>;

}  // namespace dspool::ipc
