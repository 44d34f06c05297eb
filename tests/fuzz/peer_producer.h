// The writer of a ring that may write anything: whole records, halves of them, bytes anywhere, and
// a tail that claims what it likes. Ops come from the input.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "ipc/layout.h"
#include "tests/fuzz/input.h"

namespace dspool::fuzz {

class PeerProducer {
 public:
  // REQUIRES: all of `ring` is 0; it outlives *this, which leaves it so again.
  explicit PeerProducer(std::span<std::byte> ring) noexcept : ring_(ring) {}
  PeerProducer(const PeerProducer&) = delete;
  PeerProducer& operator=(const PeerProducer&) = delete;
  ~PeerProducer() {
    for (const auto& [at, size] : written_) std::memset(&ring_[at], 0, size);
  }

  [[nodiscard]] std::uint64_t tail() const noexcept { return tail_; }
  // From here on, what is written and claimed refers to this cursor.
  void go_to(std::uint64_t cursor) noexcept { at_ = cursor; }

  // One op.
  void write(Input& input) {
    switch (input.take<std::uint8_t>() % 7) {
      case 0:  // a record as it should be
        return push(input.take<std::uint16_t>(), 1 + input.take<std::uint8_t>() % 40U);
      case 1:  // the same, up to half as long again as the longest there may be
        return push(2 + std::uint32_t{input.take<std::uint16_t>()} * 3, 33);
      case 2: {  // up to the end of the ring
        const auto to_end = ring_.size() - at_ % ring_.size();
        return push(static_cast<std::uint32_t>(to_end - sizeof(ipc::RecordHeader)),
                    ipc::kPaddingType);
      }
      case 3:  // any header, and any bytes after it
        write(at_, input.take_bytes(input.take<std::uint8_t>()));
        at_ += sizeof(ipc::RecordHeader);
        tail_ = at_;
        return;
      case 4:  // any bytes anywhere
        write(at_ + input.take<std::uint32_t>(), input.take_bytes(input.take<std::uint8_t>()));
        return;
      case 5: {  // a record whose body is said to lie elsewhere, and to be so long
        const std::uint16_t place = input.take<std::uint8_t>() % 4U;
        return push_outside(place, 1 + input.take<std::uint8_t>() % 40U,
                            input.take<std::uint32_t>());
      }
      default:
        tail_ = claim(input, tail_);
    }
  }

  // What somebody who may lie says of a cursor.
  static std::uint64_t claim(Input& input, std::uint64_t cursor) noexcept {
    switch (input.take<std::uint8_t>() % 4) {
      case 0:
        return cursor + std::uint64_t{ipc::kRecordAlignment} * input.take<std::uint16_t>();
      case 1:
        return cursor - std::uint64_t{ipc::kRecordAlignment} * input.take<std::uint8_t>();
      case 2:
        return cursor + input.take<std::uint8_t>();
      default:
        return input.take<std::uint64_t>();
    }
  }

 private:
  void push(std::uint32_t length, std::uint32_t type) {
    const ipc::RecordHeader header{
        .length = length, .type = static_cast<std::uint16_t>(type), .flags = 0, .request_id = at_};
    std::uint8_t bytes[sizeof header];
    std::memcpy(bytes, &header, sizeof header);
    write(at_, bytes);
    constexpr std::uint64_t kMask = ipc::kRecordAlignment - 1;
    at_ += sizeof header + ((length + kMask) & ~kMask);
    tail_ = at_;
  }

  void push_outside(std::uint16_t place, std::uint32_t type, std::uint64_t claimed_bytes) {
    const struct {
      ipc::RecordHeader header;
      ipc::OutsideBody body;
      std::uint64_t padding;
    } record{.header = {.length = sizeof(ipc::OutsideBody),
                        .type = static_cast<std::uint16_t>(type),
                        .flags = place,
                        .request_id = at_},
             .body = {.bytes = claimed_bytes},
             .padding = 0};
    std::uint8_t bytes[sizeof record];
    std::memcpy(bytes, &record, sizeof record);
    write(at_, bytes);
    at_ += sizeof record;
    tail_ = at_;
  }

  void write(std::uint64_t cursor, std::span<const std::uint8_t> bytes) {
    const std::size_t at = cursor % ring_.size();
    const auto written = bytes.first(std::min(bytes.size(), ring_.size() - at));
    if (written.empty()) return;
    std::memcpy(&ring_[at], written.data(), written.size());
    written_.emplace_back(at, written.size());
  }

  const std::span<std::byte> ring_;
  std::vector<std::pair<std::size_t, std::size_t>> written_;
  std::uint64_t at_ = 0;
  std::uint64_t tail_ = 0;
};

}  // namespace dspool::fuzz
