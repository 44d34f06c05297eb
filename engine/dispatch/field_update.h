// What a caller wants changed in a session's fields, checked.
#pragma once

#include <cstddef>

#include "dspool/error.h"
#include "dspool/session.h"
#include "engine/session/delta.h"

namespace dspool::dispatch {

// The update as what a command would have changed; looks into it. Errors: "invalid_update",
// "value_too_large" where its values are longer than `limit_bytes` together.
Result<session::Delta> delta_from(const FieldUpdate& update, std::size_t limit_bytes);

}  // namespace dspool::dispatch
