// The Python type `SessionState`: a session's fields as commands see them, a mutable mapping that
// notices what a command changes, in place too.
//
// Invariants
//   S1  A field is in `unread`, or `fields` maps its key to a canonical entry or, for keys in
//       `touched`, to a live object. A canonical entry is None, a bool, an int, a float or a str
//       (exactly these types), or a StoredValue (stored_value.h).
//   S2  `touched` maps each key that the command may have changed to the canonical entry that it
//       found, or to Ellipsis where it found none.
// So a mutable object lives for one command only, unless it is a list that has only grown and that
// nobody else has: nothing that the adapter keeps can change the session behind its back, and a
// session behaves the same on the worker where it is warm as on any other.
//
// Threads: the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "python_worker/native/unread_fields.h"
#include "python_worker/native/value_decoder.h"

namespace dspool::python {

struct SessionState {
  PyObject_HEAD PyObject* id;            // str
  PyObject* fields;                      // dict
  PyObject* touched;                     // dict
  PyObject* call;                        // what the command runs for (call.py); None: nothing
  std::unique_ptr<UnreadFields> unread;  // null: none is left
  std::size_t bytes;                     // an estimate of what the fields take between commands
  std::size_t unread_bytes;              // of these those of `unread`
  std::shared_ptr<ValueDecoder> decoder;
  std::uint64_t deadline_ns;  // CLOCK_MONOTONIC; 0: none
  std::uint64_t reading_ns;   // that fields took which the command was the first to use
  bool open;                  // a command runs; otherwise every use is an error
};

// Adds the type to the module under construction. Throws pybind11::error_already_set.
void add_session_state_type(pybind11::module_& module);

// The state in an instance of SessionState or of a class derived from it.
inline SessionState& session_state(const pybind11::object& session) noexcept {
  return *reinterpret_cast<SessionState*>(session.ptr());
}

}  // namespace dspool::python
