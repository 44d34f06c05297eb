// What a session keeps of a field between commands: itself, if it is None, a bool, an int, a float
// or a str (exactly these types), else a StoredValue.
//
// Threads: the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "python_worker/native/unread_fields.h"
#include "python_worker/native/value_decoder.h"

namespace dspool::python {

[[nodiscard]] inline bool is_scalar(PyObject* value) noexcept {
  return PyUnicode_CheckExact(value) || PyLong_CheckExact(value) || PyFloat_CheckExact(value) ||
         PyBool_Check(value) || value == Py_None;
}

// New references, or null with a Python error set.
// Of a value and its encoding:
[[nodiscard]] PyObject* canonical_entry(PyObject* value, std::span<const std::uint8_t> encoding);
// Of what came for a field (UnreadFields::pieces):
[[nodiscard]] PyObject* read_entry(std::span<const UnreadFields::Bytes> pieces,
                                   ValueDecoder& decoder);

// What an entry counts for among what its session takes; null and Ellipsis: nothing.
[[nodiscard]] std::size_t counted_bytes(PyObject* entry) noexcept;

}  // namespace dspool::python
