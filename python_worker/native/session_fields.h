// Reading and changing a session's fields (SessionState), with what that has to remember.
//
// Threads: the GIL. Where a function fails, a Python error is set.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "python_worker/native/session_state.h"
#include "python_worker/native/unread_fields.h"

namespace dspool::python {

// ---- by commands ----
// The value of a key, a new reference; null: there is none, or an error.
[[nodiscard]] PyObject* look_up(SessionState& state, PyObject* key);
// 1, 0, or -1: an error.
[[nodiscard]] int has_field(const SessionState& state, PyObject* key);
[[nodiscard]] Py_ssize_t count_fields(const SessionState& state) noexcept;
// Sorted, so that the order is the same on every worker. A new list, or null.
[[nodiscard]] PyObject* sorted_keys(SessionState& state);
// `value` null: removes the key, which has to be there. REQUIRES: `key` is exactly a str.
[[nodiscard]] bool set_field(SessionState& state, PyObject* key, PyObject* value);

// ---- between commands ----
// The session's fields, of which none has been read yet. REQUIRES: the state is empty.
void load_fields(SessionState& state, std::unique_ptr<UnreadFields> fields);
// Empties the state, as if it had just been made; what had not been read is for whoever can use its
// memory.
std::unique_ptr<UnreadFields> clear_fields(SessionState& state) noexcept;
// Nothing of the session lies in shared memory from now on. False: that would be too much, and the
// session cannot be used any more.
[[nodiscard]] bool keep_unread_fields(SessionState& state);
// Takes back what a command changed: every touched key holds again what it found (S2).
[[nodiscard]] bool roll_back(SessionState& state);

// Puts what a session keeps of a key in its place, and counts it instead of `before`, which it had
// before the command (null or Ellipsis: nothing).
[[nodiscard]] bool store_entry(SessionState& state, PyObject* key, PyObject* before,
                               PyObject* entry);
// Does no longer count an entry that is gone.
void discount_entry(SessionState& state, PyObject* before) noexcept;

}  // namespace dspool::python
