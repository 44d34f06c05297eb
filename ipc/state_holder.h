// What blocks of the state segment lie in: a span of an extent, or a memfd with one block. A block
// that goes is given back here.
#pragma once

#include <cstddef>

#include "ipc/state_segment.h"

namespace dspool::ipc {

class StateHolder {
 public:
  StateHolder() = default;
  StateHolder(const StateHolder&) = delete;
  StateHolder& operator=(const StateHolder&) = delete;
  virtual ~StateHolder() = default;

  [[nodiscard]] virtual std::size_t block_bytes() const noexcept = 0;
  [[nodiscard]] virtual StatePlace place_of(const std::byte* block) const noexcept = 0;
  [[nodiscard]] virtual int descriptor() const noexcept { return -1; }
  // May end *this.
  virtual void give_back(std::byte* block) noexcept = 0;
};

}  // namespace dspool::ipc
