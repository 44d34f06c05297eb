// Memory for the state of sessions: written by the engine only, read in place by every worker.
//
// It is made of extents, memfds of one size that are sealed against every change of size and
// against every other writer, and handed to the workers one by one as they are added. What is
// longer than kLongestShared is a memfd of its own (a block by itself), which a worker gets with
// each request that refers to it.
//
// Within an extent: spans of 64 KiB, each cut into blocks of one size (four sizes for each power of
// two), and for what is longer than a quarter of that, runs of adjacent pages of 4 KiB. A span
// without blocks gives its pages back. What is free is known to the engine's private memory alone.
//
// Threads: any. Blocks are taken from one of several shards, each with extents and a lock of its
// own, so that sessions with different `shard` numbers seldom wait for each other. Where a shard
// cannot grow any more, it borrows from the others.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "ipc/fault.h"

namespace dspool::ipc {

class StateHolder;
class StateShard;

// Where a block is, as a worker is told (wire::Piece).
struct StatePlace {
  static constexpr std::uint32_t kByItself = 0xffffffff;
  std::uint64_t at = 0;
  std::uint32_t extent = 0;
};

// A place for bytes, given back when this goes. Empty: none.
class StateBlock {
 public:
  StateBlock() noexcept = default;
  // Takes over a block of `holder` (state_holder.h) that begins here.
  StateBlock(StateHolder* holder, std::byte* begin) noexcept : holder_(holder), begin_(begin) {}
  StateBlock(StateBlock&& other) noexcept;
  StateBlock& operator=(StateBlock&& other) noexcept;
  ~StateBlock();

  explicit operator bool() const noexcept { return holder_ != nullptr; }
  // All of it, which may be more than was asked for. Aligned to 16.
  [[nodiscard]] std::span<std::byte> bytes() const noexcept;
  [[nodiscard]] StatePlace place() const noexcept;
  // Of a block by itself what to hand over; else -1.
  [[nodiscard]] int descriptor() const noexcept;

 private:
  StateHolder* holder_ = nullptr;
  std::byte* begin_ = nullptr;
};

class StateSegment {
 public:
  static constexpr std::size_t kExtentBytes = std::size_t{2} << 20;
  static constexpr std::size_t kLongestShared = std::size_t{1} << 20;

  // `limit_bytes`: of all extents and blocks by themselves together.
  explicit StateSegment(std::size_t limit_bytes);
  StateSegment(const StateSegment&) = delete;
  StateSegment& operator=(const StateSegment&) = delete;
  // REQUIRES: no block is left.
  ~StateSegment();

  // At least `bytes`; empty: the limit is reached, or the system has no memory.
  [[nodiscard]] StateBlock allocate(std::size_t bytes, std::uint64_t shard) noexcept;
  // Adds an extent where a shard has little room left, so that an `allocate` to come needs not: it
  // takes about a millisecond to make one.
  void grow_ahead(std::uint64_t shard) noexcept;
  // What `allocate` would take for so many bytes.
  [[nodiscard]] static std::size_t block_bytes(std::size_t bytes) noexcept;

  // ---- for handing over ----
  [[nodiscard]] std::uint32_t extents() const noexcept;  // only grows
  // REQUIRES: extent < extents().
  [[nodiscard]] int descriptor(std::uint32_t extent) const noexcept;

  // ---- how full it is ----
  [[nodiscard]] std::size_t limit_bytes() const noexcept { return limit_bytes_; }
  [[nodiscard]] std::size_t used_bytes() const noexcept;      // of blocks that are taken
  [[nodiscard]] std::size_t reserved_bytes() const noexcept;  // of memory; never above the limit
  // Whether less than an eighth is left, of the extents, or of all.
  [[nodiscard]] bool is_nearly_full() const noexcept;

 private:
  static constexpr std::size_t kShards = 8;

  StateBlock allocate_by_itself(std::size_t bytes);
  bool grow(StateShard& shard);

  const std::size_t limit_bytes_;
  // An extent is never given back, so a quarter is left to blocks by themselves, which are.
  const std::uint32_t most_extents_;
  std::atomic<std::size_t> reserved_bytes_ = 0;
  std::atomic<std::size_t> used_by_themselves_bytes_ = 0;
  std::atomic<std::uint64_t> blocks_by_themselves_ = 0;  // that there ever were

  std::mutex growth_;  // guards the next of `descriptors_`; is held outside of all shards' locks
  const std::unique_ptr<int[]> descriptors_;  // of the extents; room for all that the limit allows
  std::atomic<std::uint32_t> extents_ = 0;    // (E) release: its descriptor can be read
  std::array<std::unique_ptr<StateShard>, kShards> shards_;
};

}  // namespace dspool::ipc
