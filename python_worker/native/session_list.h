// The Python type of the lists that a session hands out: a list that knows, at any length, whether
// it has only grown. To everybody else it is a list, and its copies and pickles are plain lists.
//
// Invariants
//   W1  Of a list that `has_only_grown`, the first `stored` items are what the session has
//       stored, and nobody can have got hold of one that could be changed in place.
//   W2  Whoever is handed the list counts as having done anything to it (`unseen`), until a use is
//       seen that shows what became of the reference: one by the only reference there is, as in
//       `session["turns"].append(turn)`. So a list that is kept in a variable, passed on, or used
//       in a way that this type does not know, is compared when its command ends.
//
// Limit: native code need not ask this type (heapq changes lists, pydantic reads them). W2 finds
// that, unless the very reference that it was given is then the only one, and used in a way that is
// seen: as when a function that calls heapq returns the session's list, for `.append` to be called
// on what it returns.
//
// Threads: the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include "python_worker/native/encoding.h"
#include "python_worker/native/value_decoder.h"

namespace dspool::python {

// Without a session that has lent it out, a plain list in all but its type's name.
struct SessionList {
  PyListObject list;
  Py_ssize_t stored;        // items that the session's encoding has
  Py_ssize_t noticed;       // items after the last growth that was noticed
  bool has_containers;      // some stored item can be changed in place
  bool is_unseen;           // handed out, and not seen to be used
  bool is_doubtful;         // may have changed otherwise than by growing
  bool has_grown_in_place;  // by `+=`, which is followed by an assignment
};

[[nodiscard]] bool is_session_list(PyObject* object) noexcept;
inline SessionList& session_list(PyObject* object) noexcept {
  return *reinterpret_cast<SessionList*>(object);
}

// The list that was encoded. REQUIRES: encoding.is_list(). A new reference, or null with a
// Python error set.
[[nodiscard]] PyObject* make_session_list(const Encoding& encoding, ValueDecoder& decoder);

// To be called for every reference that is given to a command.
void hand_out(SessionList& list) noexcept;
// It was assigned to the key that it is the value of.
void notice_assignment(PyObject* list) noexcept;

[[nodiscard]] inline bool has_only_grown(const SessionList& list) noexcept {
  return !list.is_unseen && !list.is_doubtful && PyList_GET_SIZE(&list) == list.noticed;
}
// Whether every item is of a kind that cannot be changed, and exactly as it would be decoded.
[[nodiscard]] bool has_only_plain_items(PyObject* list, Py_ssize_t first) noexcept;

// ---- when a command ends; REQUIRES: nobody else has a reference ----
// It was found to hold what is stored, and nothing else.
void confirm(PyObject* list) noexcept;
// What was appended is stored now: `added` is its encoding, from which whatever the command may
// have kept is decoded anew. False: a Python error is set, and the list cannot be kept.
[[nodiscard]] bool store_growth(PyObject* list, Encoding::Bytes added, ValueDecoder& decoder);
// Takes away what was appended. False: a Python error is set.
[[nodiscard]] bool take_back_growth(PyObject* list);

// An estimate of what its items take.
[[nodiscard]] std::size_t held_bytes(const SessionList& list, const Encoding& encoding) noexcept;

}  // namespace dspool::python
