// What SessionList (session_list.h) does where it differs from list: it notices how it is used.
#pragma once

#include <pybind11/pybind11.h>

namespace dspool::python {

// Null: a Python error is set.
[[nodiscard]] PyTypeObject* session_list_type();

// To be called by every use that this type knows, before it does what it does. The reference by
// which it happens is seen, if it is the only one beside the session's own.
void notice_use(PyObject* self) noexcept;

}  // namespace dspool::python
