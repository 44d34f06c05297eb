// A worker's view of the state segment (state_segment.h): the extents that were handed over so far,
// mapped read-only for as long as the process lives.
//
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ipc/fault.h"
#include "ipc/state_segment.h"

namespace dspool::ipc {

class StateSegmentView {
 public:
  StateSegmentView() = default;
  StateSegmentView(const StateSegmentView&) = delete;
  StateSegmentView& operator=(const StateSegmentView&) = delete;
  ~StateSegmentView();

  // Maps the extent of this number; its descriptor may be closed afterwards. Errors: kSystem,
  // kViolation when it has another size than an extent.
  Result<void> add(std::uint32_t extent, int descriptor);
  [[nodiscard]] bool has(std::uint32_t extent) const noexcept;
  // Nothing: it does not lie within an extent that was added.
  [[nodiscard]] std::optional<std::span<const std::byte>> bytes(const StatePlace& place,
                                                                std::size_t bytes) const noexcept;

 private:
  std::vector<const std::byte*> extents_;  // by number; null: not added
};

}  // namespace dspool::ipc
