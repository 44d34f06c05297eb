// A worker's view of one payload (payload.h): mapped when its request begins, unmapped when the
// last that looks at it is gone. It outlives its request only after `keep`.
#pragma once

#include <cstddef>
#include <span>

#include "ipc/fault.h"
#include "ipc/payload.h"

namespace dspool::ipc {

class PayloadView {
 public:
  // `descriptor`: the slab's or the payload's own; may be closed afterwards.
  // Errors: kViolation when another payload is there, kSystem.
  static Result<std::unique_ptr<PayloadView>> map(int descriptor, const PayloadPlace& place);
  PayloadView(const PayloadView&) = delete;
  PayloadView& operator=(const PayloadView&) = delete;
  ~PayloadView();

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept;

  // Replaces the mapping, at the same address, by a private copy, so that the slot can be given to
  // others while somebody still looks. Errors: kSystem; then it is as it was.
  Result<void> keep();

 private:
  PayloadView(void* address, std::size_t mapped_bytes, std::size_t bytes) noexcept
      : address_(address), mapped_bytes_(mapped_bytes), bytes_(bytes) {}

  void* const address_;
  const std::size_t mapped_bytes_;
  const std::size_t bytes_;
};

}  // namespace dspool::ipc
