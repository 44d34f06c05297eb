// What the functions of ring.h do. Included where the ring is instantiated: for processes in
// ring.cc, over a model of their memory in its tests.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstring>

#include "ipc/kill_point.h"
#include "ipc/ring.h"

namespace dspool::ipc {
namespace ring_detail {

// What a record with a body of `length` bytes occupies, header and padding included.
constexpr std::uint64_t record_bytes(std::uint32_t length) noexcept {
  constexpr std::uint64_t kMask = kRecordAlignment - 1;
  return sizeof(RecordHeader) + ((std::uint64_t{length} + kMask) & ~kMask);
}

constexpr bool is_aligned(std::uint64_t cursor) noexcept { return cursor % kRecordAlignment == 0; }

inline bool is_valid_ring(std::span<const std::byte> bytes) noexcept {
  return std::has_single_bit(bytes.size()) && bytes.size() >= kMinRingBytes &&
         std::bit_cast<std::uintptr_t>(bytes.data()) % kRecordAlignment == 0;
}

}  // namespace ring_detail

// ---- Producer ----

template <template <typename> typename Atomic>
BasicProducer<Atomic>::BasicProducer(Atomic<std::uint64_t>& tail, const Atomic<std::uint64_t>& head,
                                     std::span<std::byte> bytes,
                                     std::uint32_t longest_bytes) noexcept
    : shared_tail_(tail), shared_head_(head), bytes_(bytes), longest_bytes_(longest_bytes) {
  assert(ring_detail::is_valid_ring(bytes) && longest_bytes <= longest_body_bytes(bytes.size()));
}

template <template <typename> typename Atomic>
std::optional<std::span<std::byte>> BasicProducer<Atomic>::try_reserve(
    std::uint32_t length, std::uint32_t kept_bytes) noexcept {
  reserved_length_.reset();
  if (length > longest_bytes_ || violated()) return std::nullopt;
  const std::uint64_t record = ring_detail::record_bytes(length);
  const std::uint64_t to_end = bytes_.size() - (tail_ & (bytes_.size() - 1));
  const std::uint64_t padding = record > to_end ? to_end : 0;
  if (!has_room(padding + record + kept_bytes)) return std::nullopt;
  if (padding != 0) {  // I3
    const auto body = static_cast<std::uint32_t>(padding - sizeof(RecordHeader));
    write_header(tail_, {.length = body, .type = kPaddingType, .flags = 0, .request_id = 0});
    kill_point("push.padded");
  }
  reserved_ = tail_ + padding;
  reserved_length_ = length;
  kill_point("push.reserved");
  return bytes_.subspan((reserved_ & (bytes_.size() - 1)) + sizeof(RecordHeader), length);
}

template <template <typename> typename Atomic>
void BasicProducer<Atomic>::commit(std::uint16_t type, std::uint64_t request_id,
                                   std::uint16_t flags) noexcept {
  assert(reserved_length_ && type != kPaddingType);
  const std::uint32_t length = *reserved_length_;
  reserved_length_.reset();
  kill_point("push.body_written");
  write_header(reserved_,
               {.length = length, .type = type, .flags = flags, .request_id = request_id});
  kill_point("push.header_written");
  tail_ = reserved_ + ring_detail::record_bytes(length);
  kill_point("push.committed");
}

template <template <typename> typename Atomic>
void BasicProducer<Atomic>::publish() noexcept {
  published_tail_ = tail_;
  shared_tail_.store(tail_, std::memory_order_seq_cst);  // (P)
  kill_point("push.published");
}

template <template <typename> typename Atomic>
bool BasicProducer<Atomic>::has_room(std::uint64_t needed_bytes) noexcept {
  const auto fits = [&] { return bytes_.size() - (tail_ - known_head_) >= needed_bytes; };
  return fits() || (refresh_head() && fits());
}

template <template <typename> typename Atomic>
bool BasicProducer<Atomic>::refresh_head() noexcept {
  const auto head = shared_head_.load(std::memory_order_acquire);  // (C)
  if (head < known_head_) {
    violation_ = {"the head went backwards", head, known_head_};
  } else if (head > published_tail_) {
    violation_ = {"the head passed the tail", head, published_tail_};
  } else if (!ring_detail::is_aligned(head)) {
    violation_ = {"the head is not aligned", head, kRecordAlignment};
  } else {
    known_head_ = head;
  }
  return !violated();
}

template <template <typename> typename Atomic>
void BasicProducer<Atomic>::write_header(std::uint64_t cursor,
                                         const RecordHeader& header) noexcept {
  std::memcpy(&bytes_[cursor & (bytes_.size() - 1)], &header, sizeof header);
}

// ---- Consumer ----

template <template <typename> typename Atomic>
BasicConsumer<Atomic>::BasicConsumer(Atomic<std::uint64_t>& head, const Atomic<std::uint64_t>& tail,
                                     std::span<const std::byte> bytes,
                                     std::uint32_t longest_bytes) noexcept
    : shared_head_(head), shared_tail_(tail), bytes_(bytes), longest_bytes_(longest_bytes) {
  assert(ring_detail::is_valid_ring(bytes) && longest_bytes <= longest_body_bytes(bytes.size()));
}

template <template <typename> typename Atomic>
std::optional<Record> BasicConsumer<Atomic>::peek() noexcept {
  while (!violated() && (head_ != known_tail_ || refresh_tail())) {
    const std::uint64_t offset = head_ & (bytes_.size() - 1);
    const RecordHeader header = copy_header(head_);
    if (!check_header(header, bytes_.size() - offset)) return std::nullopt;
    if (header.type != kPaddingType) {
      peeked_bytes_ = ring_detail::record_bytes(header.length);
      kill_point("pop.peeked");
      return Record{header, bytes_.subspan(offset + sizeof header, header.length)};
    }
    head_ += ring_detail::record_bytes(header.length);  // given back with the record that follows
  }
  return std::nullopt;
}

template <template <typename> typename Atomic>
void BasicConsumer<Atomic>::release() noexcept {
  assert(peeked_bytes_ != 0);
  kill_point("pop.copied");
  head_ += peeked_bytes_;
  peeked_bytes_ = 0;
  shared_head_.store(head_, std::memory_order_release);  // (C)
  kill_point("pop.released");
}

template <template <typename> typename Atomic>
bool BasicConsumer<Atomic>::empty() const noexcept {
  return shared_tail_.load(std::memory_order_seq_cst) == head_;  // no edge: peek takes (P)
}

// True when there is more than was known.
template <template <typename> typename Atomic>
bool BasicConsumer<Atomic>::refresh_tail() noexcept {
  const auto tail = shared_tail_.load(std::memory_order_acquire);  // (P)
  if (tail < known_tail_) {
    violation_ = {"the tail went backwards", tail, known_tail_};
  } else if (tail - head_ > bytes_.size()) {
    violation_ = {"the tail passed the capacity", tail, head_ + bytes_.size()};
  } else if (!ring_detail::is_aligned(tail)) {
    violation_ = {"the tail is not aligned", tail, kRecordAlignment};
  } else {
    known_tail_ = tail;
  }
  return !violated() && known_tail_ != head_;
}

// Two atomic loads, so that the compiler cannot read the shared bytes a second time after they
// were checked.
template <template <typename> typename Atomic>
RecordHeader BasicConsumer<Atomic>::copy_header(std::uint64_t cursor) const noexcept {
  using Word [[gnu::may_alias]] = std::uint64_t;
  const auto* words = reinterpret_cast<const Word*>(&bytes_[cursor & (bytes_.size() - 1)]);
  const std::array<std::uint64_t, 2> copy{__atomic_load_n(&words[0], __ATOMIC_RELAXED),
                                          __atomic_load_n(&words[1], __ATOMIC_RELAXED)};
  return std::bit_cast<RecordHeader>(copy);
}

template <template <typename> typename Atomic>
bool BasicConsumer<Atomic>::check_header(const RecordHeader& header,
                                         std::uint64_t to_end) noexcept {
  const std::uint64_t record = ring_detail::record_bytes(header.length);
  const std::uint64_t published = known_tail_ - head_;
  if (header.flags > (header.type == kPaddingType ? 0 : kLastBodyPlace)) {
    violation_ = {"a record has unknown flags", header.flags, kLastBodyPlace};
  } else if (header.length > longest_bytes_) {
    violation_ = {"a record is too long", header.length, longest_bytes_};
  } else if (record > published) {
    violation_ = {"a record passes the tail", record, published};
  } else if (record > to_end) {
    violation_ = {"a record passes the end of the ring", record, to_end};
  } else if (header.type == kPaddingType && record != to_end) {
    violation_ = {"a padding record does not end at the end of the ring", record, to_end};
  } else if (header.type == kPaddingType && record == published) {
    violation_ = {"a padding record has no record behind it", record, published};
  }
  return !violated();
}

}  // namespace dspool::ipc
