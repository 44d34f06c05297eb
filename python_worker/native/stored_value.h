// What a session keeps of a field that is not a scalar: its encoding and, between commands, the
// list that it was decoded to, when nobody else has that. A Python object, so that a dict can hold
// it; no command ever sees one.
//
// Threads: the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <span>

#include "python_worker/native/encoding.h"
#include "python_worker/native/value_decoder.h"

namespace dspool::python {

struct StoredValue {
  PyObject_HEAD Encoding encoding;
  PyObject* list;             // a SessionList (session_list.h) of exactly what is encoded, or null
  const PyObject* lent;       // where that is while a command has it; only to compare with
  std::size_t counted_bytes;  // what its session believes that this takes
};

[[nodiscard]] bool is_stored_value(PyObject* object) noexcept;
inline StoredValue& stored_value(PyObject* object) noexcept {
  return *reinterpret_cast<StoredValue*>(object);
}

// A new reference, or null with a Python error set. REQUIRES: as Encoding's.
[[nodiscard]] PyObject* make_stored_value(std::span<const Encoding::Bytes> pieces, bool is_foreign);

// The value as a command may have it: a new reference, or null with a Python error set. Of a list,
// the one that is kept, if there is one.
[[nodiscard]] PyObject* lend(StoredValue& stored, ValueDecoder& decoder);

// An estimate of what it takes.
[[nodiscard]] std::size_t held_bytes(const StoredValue& stored) noexcept;

}  // namespace dspool::python
