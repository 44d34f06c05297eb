// Where commits become state. The dispatcher has every accepted delta prepared, and answers the
// caller only after it was applied.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dspool/error.h"
#include "engine/session/record.h"

namespace dspool::store {

class Store {
 public:
  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  // All that `Record::apply` needs to make `delta` the record's next version, or why it cannot
  // become that; changes nothing. Never blocks. REQUIRES: record.can_append_all(delta).
  // Errors, resource_error: "state_too_large", "state_memory_full".
  virtual Result<session::Staged> prepare(const session::Record& record,
                                          const session::Delta& delta) = 0;
  // Whether sessions that nobody uses should make room for others.
  [[nodiscard]] virtual bool is_nearly_full() const noexcept = 0;
};

}  // namespace dspool::store
