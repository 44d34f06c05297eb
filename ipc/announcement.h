// Whom the worker rings after it has published: one word, written by the engine's holder of the
// receive token. As with the doorbell, both sides store, then load, all seq_cst:
//
//   the engine, going to sleep                   the worker
//   (B) exchanges the word                       (P) stores the ring's tail
//   (L) looks at the ring's tail                 (D) loads the word
//   (W) polls the eventfd                        (R) rings whom it names
//
// Either the look sees the record, or the worker sees the announcement. An eventfd remembers a
// ring, so that there is no (A).
#pragma once

#include <atomic>
#include <cstdint>

#include "ipc/kill_point.h"
#include "ipc/layout.h"

namespace dspool::ipc {

// (B). Atomic: as in ring.h.
template <template <typename> typename Atomic>
void announce(Atomic<std::uint32_t>& word, Receiver receiver) noexcept {
  // An exchange, so that no later look at the ring can be taken before it is visible.
  word.exchange(static_cast<std::uint32_t>(receiver), std::memory_order_seq_cst);
  kill_point("bell.announced");
}

// (D). What is not a Receiver is to be taken for kNobody.
template <template <typename> typename Atomic>
[[nodiscard]] Receiver whom_to_ring(const Atomic<std::uint32_t>& word) noexcept {
  const std::uint32_t receiver = word.load(std::memory_order_seq_cst);
  return static_cast<Receiver>(receiver);
}

}  // namespace dspool::ipc
