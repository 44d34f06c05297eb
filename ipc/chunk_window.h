// The chunks of one request that were sent and not consumed yet, on either side: the worker sends
// only what has room, and the engine takes nothing else. That bounds what the engine holds for a
// caller who is slow.
//
// Invariant: consumed <= sent <= consumed + kMostChunks; more than kMostBytes only of one chunk.
// Threads: one at a time.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>

namespace dspool::ipc {

class ChunkWindow {
 public:
  static constexpr std::uint64_t kMostChunks = 32;
  static constexpr std::size_t kMostBytes = std::size_t{256} << 10;

  // Whether a chunk whose record's body has so many bytes may be sent. One by itself always may.
  [[nodiscard]] bool has_room(std::size_t bytes) const noexcept {
    if (sent_ == consumed_) return true;
    return sent_ - consumed_ < kMostChunks && bytes <= kMostBytes && bytes_ <= kMostBytes - bytes;
  }
  // REQUIRES: has_room(bytes).
  void send(std::size_t bytes) noexcept {
    assert(has_room(bytes));
    sizes_[sent_++ % kMostChunks] = bytes;
    bytes_ += bytes;
  }
  // The first so many chunks are consumed; what is not above the number before says nothing new.
  // false: there were not so many.
  [[nodiscard]] bool consume_to(std::uint64_t count) noexcept {
    if (count > sent_) return false;
    while (consumed_ < count) bytes_ -= sizes_[consumed_++ % kMostChunks];
    return true;
  }

  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }
  [[nodiscard]] std::uint64_t consumed() const noexcept { return consumed_; }

 private:
  std::array<std::size_t, kMostChunks> sizes_{};
  std::uint64_t sent_ = 0;
  std::uint64_t consumed_ = 0;
  std::size_t bytes_ = 0;  // of what is sent and not consumed
};

}  // namespace dspool::ipc
