// A worker's view of a block of the state segment that is by itself (ipc/state_segment.h), for the
// time of one request: mapped read-only, unmapped when this goes.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "ipc/fault.h"

namespace dspool::python {

class BlockView {
 public:
  // The first `bytes` of it. The descriptor may be closed afterwards. Errors: kSystem, kViolation
  // when it is shorter.
  static ipc::Result<std::unique_ptr<BlockView>> map(int descriptor, std::size_t bytes);
  BlockView(const BlockView&) = delete;
  BlockView& operator=(const BlockView&) = delete;
  ~BlockView();

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return {static_cast<const std::byte*>(address_), bytes_};
  }

 private:
  BlockView(void* address, std::size_t bytes) noexcept : address_(address), bytes_(bytes) {}

  void* const address_;
  const std::size_t bytes_;
};

}  // namespace dspool::python
