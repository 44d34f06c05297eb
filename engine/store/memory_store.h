// Durability `memory`: state lives in the engine's own memory and survives its workers.
//
// Any worker may need all of a session's fields: a commit that would grow them past
// `state_limit_bytes` is refused.
#pragma once

#include "engine/store/store.h"

namespace dspool::store {

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(std::size_t state_limit_bytes) noexcept
      : state_limit_bytes_(state_limit_bytes) {}

  Result<void> commit(session::Record& record, const session::Delta& delta,
                      std::uint64_t state_id) override;

 private:
  std::size_t state_limit_bytes_;
};

}  // namespace dspool::store
