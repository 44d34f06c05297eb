// The Python type `EngineCall`: a LiveCall, one for each thread that runs commands, which each
// command finds as `session.call`.
#pragma once

#include <pybind11/pybind11.h>

#include "python_worker/native/live_call.h"

namespace dspool::python {

// Adds the type to the module under construction. Throws pybind11::error_already_set.
void add_call_type(pybind11::module_& module);

// An instance, in which no command runs. Arguments as for LiveCall.
pybind11::object make_call(ipc::WorkerChannel& channel, std::uint64_t max_bytes,
                           const pybind11::object& cancelled_error);

// REQUIRES: `call` was made by make_call.
LiveCall& live_call(const pybind11::object& call) noexcept;

}  // namespace dspool::python
