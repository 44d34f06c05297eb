// A stored field as one value: what it was put as, and all that was appended to it.
#pragma once

#include "dspool/value.h"
#include "engine/store/stored_record.h"

namespace dspool::store {

[[nodiscard]] Value whole_value(const StoredField& field);

}  // namespace dspool::store
