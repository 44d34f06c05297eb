// A bounded queue of byte records from one process to another. The cursors and the bytes live
// in shared memory; Producer and Consumer are the two views of them, one per process.
//
// Invariants
//   I1  head <= tail <= head + capacity; both only grow, by multiples of kRecordAlignment.
//   I2  bytes in [head, tail) belong to the consumer, all others to the producer.
//   I3  no record crosses the end of the ring: a padding record fills it, and is published
//       together with the record that it makes room for.
//
// Memory order: bytes change owner on two edges.
//   (P) tail.store(seq_cst) -> tail.load(acquire)   written -> readable
//   (C) head.store(release) -> head.load(acquire)   read    -> reusable
// (P) is seq_cst because the doorbell's "is the other side asleep?" must not be read before it.
// Every atomic access names its edge; what a side knows of its own cursor is in private memory.
//
// Crash: a process that dies between its edges leaves the ring valid, with one push that never
// happened or one pop that will happen again.
// Trust: the other side's cursor and record headers are claims: each is loaded once and checked
// against what this side knows before it is used. After the first lie nothing is believed.
//
// Threads: each view belongs to one thread at a time.
// Atomic: std::atomic, or a model of it under which tests run the same code through every
// interleaving and every stale read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "ipc/layout.h"

namespace dspool::ipc {

// A claim of the other side that cannot be true.
struct Violation {
  const char* why = nullptr;  // nullptr: there was none
  std::uint64_t claimed = 0;
  std::uint64_t known = 0;  // what contradicts it

  [[nodiscard]] std::string describe() const;  // "the tail went backwards: 16, known 4096"
};

template <template <typename> typename Atomic>
class BasicProducer {
 public:
  // REQUIRES: bytes.size() is a power of two of at least kMinRingBytes; bytes are aligned to
  // kRecordAlignment; cursors and bytes outlive *this; both cursors are 0.
  // `longest_bytes`, the longest body, is at most longest_body_bytes(bytes.size()).
  BasicProducer(Atomic<std::uint64_t>& tail, const Atomic<std::uint64_t>& head,
                std::span<std::byte> bytes,
                std::uint32_t longest_bytes = kInlineLimitBytes) noexcept;

  // A place for `length` bytes, 16-byte aligned, or nothing: the ring is full, the length is above
  // the longest, or the consumer's cursor is a lie (see `violated`). Wait-free. A place that is
  // not committed is given again. `kept_bytes` stay free behind it, for others.
  [[nodiscard]] std::optional<std::span<std::byte>> try_reserve(
      std::uint32_t length, std::uint32_t kept_bytes = 0) noexcept;

  // Completes the record reserved last. It is readable once published.
  void commit(std::uint16_t type, std::uint64_t request_id, std::uint16_t flags = 0) noexcept;

  // Makes all committed records readable: the one commit point, edge (P).
  void publish() noexcept;

  // How far the consumer had read when try_reserve last looked. After it found no room: once the
  // consumer's cursor differs from this, it may find some.
  [[nodiscard]] std::uint64_t known_head() const noexcept { return known_head_; }

  // True once the consumer's cursor has claimed what cannot be.
  [[nodiscard]] bool violated() const noexcept { return violation_.why != nullptr; }
  [[nodiscard]] const Violation& violation() const noexcept { return violation_; }

 private:
  bool has_room(std::uint64_t needed_bytes) noexcept;
  bool refresh_head() noexcept;
  void write_header(std::uint64_t cursor, const RecordHeader& header) noexcept;

  Atomic<std::uint64_t>& shared_tail_;
  const Atomic<std::uint64_t>& shared_head_;
  const std::span<std::byte> bytes_;
  const std::uint32_t longest_bytes_;
  std::uint64_t tail_ = 0;            // end of what is committed
  std::uint64_t published_tail_ = 0;  // end of what the consumer may have read
  std::uint64_t known_head_ = 0;      // the consumer's cursor when last looked at
  std::uint64_t reserved_ = 0;        // where the reserved record begins
  std::optional<std::uint32_t> reserved_length_;
  Violation violation_;
};

struct Record {
  RecordHeader header;
  std::span<const std::byte> body;  // still in shared memory: may change while it is read
};

template <template <typename> typename Atomic>
class BasicConsumer {
 public:
  // REQUIRES: as for Producer, but the producer may have begun.
  BasicConsumer(Atomic<std::uint64_t>& head, const Atomic<std::uint64_t>& tail,
                std::span<const std::byte> bytes,
                std::uint32_t longest_bytes = kInlineLimitBytes) noexcept;

  // The oldest record that was not released, or nothing: empty, or `violated`. The header is a
  // private copy and checked: the body lies wholly inside what was published.
  [[nodiscard]] std::optional<Record> peek() noexcept;

  // Gives the bytes of the record peeked last back to the producer, edge (C).
  void release() noexcept;

  // Whether no record can be there; seq_cst, for the look between announcing sleep and sleeping.
  [[nodiscard]] bool empty() const noexcept;

  [[nodiscard]] bool violated() const noexcept { return violation_.why != nullptr; }
  [[nodiscard]] const Violation& violation() const noexcept { return violation_; }

 private:
  bool refresh_tail() noexcept;
  [[nodiscard]] RecordHeader copy_header(std::uint64_t cursor) const noexcept;
  bool check_header(const RecordHeader& header, std::uint64_t to_end) noexcept;

  Atomic<std::uint64_t>& shared_head_;
  const Atomic<std::uint64_t>& shared_tail_;
  const std::span<const std::byte> bytes_;
  const std::uint32_t longest_bytes_;
  std::uint64_t head_ = 0;          // end of what was released
  std::uint64_t known_tail_ = 0;    // the producer's cursor when last looked at
  std::uint64_t peeked_bytes_ = 0;  // size of the record peeked last, 0 when it was released
  Violation violation_;
};

extern template class BasicProducer<std::atomic>;
extern template class BasicConsumer<std::atomic>;
using Producer = BasicProducer<std::atomic>;
using Consumer = BasicConsumer<std::atomic>;

}  // namespace dspool::ipc
