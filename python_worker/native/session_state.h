// The Python type `SessionState`: a session's fields as commands see them, a mutable mapping that
// notices what a command changes, in place too.
//
// Invariants
//   S1  `fields` maps str to a canonical entry or, for keys in `touched`, to a live object. A
//       canonical entry is None, a bool, an int, a float or a str (exactly these types), or a
//       bytes object that is the value's FlexBuffer.
//   S2  `touched` maps each key that the command may have changed to the canonical entry that it
//       found, or to Ellipsis where it found none.
// So a mutable object lives for one command only, decoded when it is first asked for: nothing that
// the adapter keeps can change the session behind its back, and a session behaves the same on the
// worker where it is warm as on any other.
//
// Threads: the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <span>

#include "python_worker/native/value_decoder.h"
#include "schemas/envelope_generated.h"

namespace dspool::python {

struct SessionState {
  PyObject_HEAD PyObject* id;  // str
  PyObject* fields;            // dict
  PyObject* touched;           // dict
  std::shared_ptr<ValueDecoder> decoder;
  std::uint64_t deadline_ns;  // CLOCK_MONOTONIC; 0: none
  bool open;                  // a command runs; otherwise every use is an error
};

// Adds the type to the module under construction. Throws pybind11::error_already_set.
void add_session_state_type(pybind11::module_& module);

// The state in an instance of SessionState or of a class derived from it.
inline SessionState& session_state(const pybind11::object& session) noexcept {
  return *reinterpret_cast<SessionState*>(session.ptr());
}

// Fills an empty state with a record's fields. False: a Python error is set.
[[nodiscard]] bool load_fields(SessionState& state, const wire::SessionRecord& record);

// Takes back what a command changed: every touched key holds again what it found (S2). False: a
// Python error is set, and the session cannot be used any more.
[[nodiscard]] bool roll_back(SessionState& state);

// The canonical entry (S1) of a value: itself where that is allowed, else `encoding` as bytes. A
// new reference, or null with a Python error set.
[[nodiscard]] PyObject* canonical_entry(PyObject* value, std::span<const std::uint8_t> encoding);

}  // namespace dspool::python
