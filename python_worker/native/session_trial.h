// Ending a command without an engine, so that an adapter's tests can see what would be committed.
#pragma once

#include <pybind11/pybind11.h>

namespace dspool::python {

// What was changed in a session that a test made, since it was made or since the last trial, by the
// way that a worker takes: puts, deletes and appends. The session then is as it would be warm.
[[nodiscard]] pybind11::tuple commit_trial(const pybind11::object& session);

// As when the command had raised.
void roll_back_trial(const pybind11::object& session);

}  // namespace dspool::python
