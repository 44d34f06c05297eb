// What the engine has to say to a worker about a request that it runs: whether its call has ended,
// and how many of its chunks were consumed. The worker looks when it wants to know, also where its
// only thread runs a command and nobody reads the request ring.
//
// One word for each place that a request can take. The engine alone writes it, the worker reads.
// A place is another request's only after the worker has answered the one before, so a word that it
// reads while it runs a request is about that request.
//
// Memory order: the word comes alone, no data is read because of it. That a request finds its word
// cleared is seen to by edge (P) of the ring, which publishes the request after it.
// Trust: a worker that reads what is not its request's misleads itself.
#pragma once

#include <atomic>
#include <cstdint>

namespace dspool::ipc {

struct Attention {
  bool cancelled = false;      // nobody waits for the answer
  std::uint64_t consumed = 0;  // chunks, from the first on
  bool operator==(const Attention&) const = default;
};

using AttentionWord = std::atomic<std::uint64_t>;

inline Attention read_attention(const AttentionWord& word) noexcept {
  const std::uint64_t bits = word.load(std::memory_order_relaxed);
  return {.cancelled = (bits & 1) != 0, .consumed = bits >> 1};
}

inline void write_attention(AttentionWord& word, const Attention& attention) noexcept {
  word.store(attention.consumed << 1 | (attention.cancelled ? 1U : 0U), std::memory_order_relaxed);
}

}  // namespace dspool::ipc
