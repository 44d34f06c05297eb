// What a ring's cursor is to one of its sides: one's own is what one stored last; the other side's
// may be another at every look, while there is input left to say so.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include "tests/fuzz/input.h"
#include "tests/fuzz/peer_producer.h"

namespace dspool::fuzz {

template <typename T>
class Cursor {
 public:
  T load(std::memory_order /*order*/) const noexcept {
    if (lies_ != nullptr && (lies_->take<std::uint8_t>() & 7) == 7) {
      value_ = PeerProducer::claim(*lies_, value_);
    }
    claim_ = value_;
    return value_;
  }
  void store(T value, std::memory_order /*order*/) noexcept { value_ = value; }

  void lie(Input& input) noexcept { lies_ = &input; }
  [[nodiscard]] T value() const noexcept { return value_; }
  // What the last look found, unless that was told before.
  std::optional<T> take_claim() noexcept { return std::exchange(claim_, std::nullopt); }

 private:
  mutable T value_ = 0;
  mutable std::optional<T> claim_;
  Input* lies_ = nullptr;
};

}  // namespace dspool::fuzz
