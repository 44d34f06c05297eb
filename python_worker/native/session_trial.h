// Running and ending a command without an engine, so that an adapter's tests see what a worker
// would do with it.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

namespace dspool::python {

// What a worker does to run a command: decodes the arguments, calls, and encodes the result. The
// session can be used meanwhile, and not afterwards. `deadline_ns` as in SessionState. Throws what
// the command raised, or `encode_error`, which then has no traceback.
[[nodiscard]] pybind11::bytes run_trial(const pybind11::object& callable,
                                        const pybind11::object& session,
                                        const pybind11::bytes& args, std::uint64_t deadline_ns,
                                        const pybind11::object& encode_error);

// What was changed in a session that a test made, since it was made or since the last trial, by the
// way that a worker takes: puts, deletes and appends. The session then is as it would be warm.
// Throws `encode_error` where that is no value.
[[nodiscard]] pybind11::tuple commit_trial(const pybind11::object& session,
                                           const pybind11::object& encode_error);

// As when the command had raised.
void roll_back_trial(const pybind11::object& session);

}  // namespace dspool::python
