// Where commits become state. The dispatcher hands every accepted delta to a Store and answers
// the caller only after it has said yes.
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

  // Makes `delta` the record's next version, or changes nothing and says why. Never blocks.
  virtual Result<void> commit(session::Record& record, const session::Delta& delta,
                              std::uint64_t state_id) = 0;
};

}  // namespace dspool::store
