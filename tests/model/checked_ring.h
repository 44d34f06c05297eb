// The ring itself, over a model's atomics, with every promise checked: each record is received
// once, in order and whole, and no byte is touched by one side while it is the other's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ipc/ring_inl.h"
#include "tests/model/atomic.h"
#include "tests/model/execution.h"

namespace dspool::model {

inline constexpr std::size_t kPageBytes = 4096;     // one cell of the Execution
inline constexpr std::uint32_t kQuarterPages = 32;  // four such records fill the ring
constexpr std::uint32_t body_bytes(std::uint32_t record_pages) {
  return static_cast<std::uint32_t>(record_pages * kPageBytes - sizeof(ipc::RecordHeader));
}
static_assert(4 * kQuarterPages * kPageBytes == ipc::kMinRingBytes);
static_assert(ipc::kMinRingBytes / kPageBytes == Execution::kCells);

// Memory for rings, which is not cleared between executions.
class RingBytes {
 public:
  std::span<std::byte> bytes() noexcept { return bytes_; }

 private:
  alignas(ipc::kRecordAlignment) std::byte bytes_[ipc::kMinRingBytes]{};
};

class CheckedRing {
 public:
  // Every record takes `record_pages` pages with its header.
  CheckedRing(RingBytes& bytes, std::uint32_t record_pages);

  // The producer's side. false: full.
  bool push();
  void publish() { producer_.publish(); }
  // After push() found the ring full: until there is more room than it saw.
  void await_room() const;

  // The consumer's side. false: nothing there.
  bool pop();
  [[nodiscard]] bool empty() const { return consumer_.empty(); }
  [[nodiscard]] std::uint64_t popped() const noexcept { return popped_; }

  // Who is neither: whether something unread may be there, as EngineChannel::has_records.
  [[nodiscard]] bool has_records() const;

 private:
  // Where a record lies whose body this is.
  [[nodiscard]] std::size_t page_of(std::span<const std::byte> body) const;

  Execution& execution_ = Execution::current();
  const std::span<std::byte> bytes_;
  const std::uint32_t record_pages_;
  Atomic<std::uint64_t> tail_ = 0;
  Atomic<std::uint64_t> head_ = 0;
  ipc::BasicProducer<Atomic> producer_;
  ipc::BasicConsumer<Atomic> consumer_;
  std::uint64_t pushed_ = 0;
  std::uint64_t popped_ = 0;
  std::size_t pushed_to_page_ = 0;
  std::size_t popped_to_page_ = 0;
};

}  // namespace dspool::model
