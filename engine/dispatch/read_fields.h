// What a call that reads fields asks for, as one value.
#pragma once

#include <functional>

#include "dspool/error.h"
#include "dspool/value.h"
#include "engine/dispatch/call.h"

namespace dspool::dispatch {

// A map of the fields that are there, of `call.keys` or all; takes as long as they are long.
// Errors: timeout / "deadline_exceeded", seen between two fields; resource_error /
// "no_memory_for_fields". REQUIRES: nothing changes the session's record meanwhile.
Result<Value> read_fields(const Call& call, const std::function<TimePoint()>& now);

}  // namespace dspool::dispatch
