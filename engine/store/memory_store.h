// Room for state in the state segment. Any worker may need all of a session's fields: a commit that
// would grow them past `state_limit_bytes` is refused.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/store/store.h"
#include "ipc/state_segment.h"

namespace dspool::store {

class MemoryStore final : public Store {
 public:
  // `segment` outlives *this.
  MemoryStore(std::size_t state_limit_bytes, ipc::StateSegment& segment) noexcept
      : state_limit_bytes_(state_limit_bytes), segment_(segment) {}

  Result<session::Staged> prepare(const session::Record& record,
                                  const session::Delta& delta) override;
  [[nodiscard]] bool is_nearly_full() const noexcept override;

 private:
  std::size_t state_limit_bytes_;
  ipc::StateSegment& segment_;
};

}  // namespace dspool::store
