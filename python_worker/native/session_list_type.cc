#include "python_worker/native/session_list_type.h"

#include <array>

#include "python_worker/native/session_list.h"

namespace dspool::python {
namespace {

PySequenceMethods& list_sequence() noexcept { return *PyList_Type.tp_as_sequence; }

// May change what is stored.
void doubt(PyObject* self) noexcept { session_list(self).is_doubtful = true; }

// Hands out items, all of them for all we know.
void notice_items_out(PyObject* self) noexcept {
  notice_use(self);
  if (session_list(self).has_containers) doubt(self);
}

// Hands out one item, or a list of items.
PyObject* noticed_item(PyObject* self, PyObject* item) noexcept {
  const bool can_change = item != nullptr && (PyList_Check(item) || PyDict_Check(item));
  if (can_change && session_list(self).has_containers) doubt(self);
  return item;
}

void notice_growth(PyObject* self) noexcept { session_list(self).noticed = PyList_GET_SIZE(self); }

PyObject* list_append(PyObject* self, PyObject* item) {
  notice_use(self);
  if (PyList_Append(self, item) < 0) return nullptr;
  notice_growth(self);
  Py_RETURN_NONE;
}

// What it returns may go anywhere, so that the reference counts as not seen, until it is assigned.
PyObject* list_add_in_place(PyObject* self, PyObject* items) {
  const bool was_unseen = session_list(self).is_unseen;
  notice_use(self);
  const bool is_seen = was_unseen && !session_list(self).is_unseen;
  PyObject* const result = list_sequence().sq_inplace_concat(self, items);
  notice_growth(self);
  session_list(self).is_unseen = session_list(self).is_unseen || was_unseen;
  session_list(self).has_grown_in_place = is_seen;
  return result;
}

PyObject* list_extend(PyObject* self, PyObject* items) {
  notice_use(self);
  PyObject* const result = list_sequence().sq_inplace_concat(self, items);
  notice_growth(self);
  if (result == nullptr) return nullptr;
  Py_DECREF(result);
  Py_RETURN_NONE;
}

Py_ssize_t list_length(PyObject* self) {
  notice_use(self);
  return PyList_GET_SIZE(self);
}

PyObject* list_subscript(PyObject* self, PyObject* index) {
  notice_use(self);
  return noticed_item(self, PyList_Type.tp_as_mapping->mp_subscript(self, index));
}

int list_assign_subscript(PyObject* self, PyObject* index, PyObject* value) {
  doubt(self);
  return PyList_Type.tp_as_mapping->mp_ass_subscript(self, index, value);
}

PyObject* list_item(PyObject* self, Py_ssize_t index) {
  notice_use(self);
  return noticed_item(self, list_sequence().sq_item(self, index));
}

int list_assign_item(PyObject* self, Py_ssize_t index, PyObject* value) {
  doubt(self);
  return list_sequence().sq_ass_item(self, index, value);
}

PyObject* list_concat(PyObject* self, PyObject* other) {
  notice_items_out(self);
  if (is_session_list(other)) notice_items_out(other);
  return list_sequence().sq_concat(self, other);
}

// Also `[...] + list`, where Python would otherwise not ask this type.
PyObject* list_add(PyObject* left, PyObject* right) {
  if (!PyList_Check(left) || !PyList_Check(right)) Py_RETURN_NOTIMPLEMENTED;
  if (is_session_list(left)) notice_items_out(left);
  if (is_session_list(right)) notice_items_out(right);
  return list_sequence().sq_concat(left, right);
}

PyObject* list_repeat(PyObject* self, Py_ssize_t count) {
  notice_items_out(self);
  return list_sequence().sq_repeat(self, count);
}

PyObject* list_repeat_in_place(PyObject* self, Py_ssize_t count) {
  doubt(self);
  return list_sequence().sq_inplace_repeat(self, count);
}

// Comparing shows items to the other side's __eq__.
int list_contains(PyObject* self, PyObject* value) {
  notice_items_out(self);
  return list_sequence().sq_contains(self, value);
}

PyObject* list_compare(PyObject* self, PyObject* other, int operation) {
  notice_items_out(self);
  if (is_session_list(other)) notice_items_out(other);
  return PyList_Type.tp_richcompare(self, other, operation);
}

PyObject* list_iterate(PyObject* self) {
  notice_items_out(self);
  return PyList_Type.tp_iter(self);
}

PyObject* list_reversed(PyObject* self, PyObject* /*none*/) {
  notice_items_out(self);
  return PyObject_CallMethod(reinterpret_cast<PyObject*>(&PyList_Type), "__reversed__", "O", self);
}

// Of copies and pickles: list(items).
PyObject* list_reduce(PyObject* self, PyObject* /*protocol*/) {
  notice_items_out(self);
  return Py_BuildValue("O(N)", &PyList_Type, PyList_GetSlice(self, 0, PyList_GET_SIZE(self)));
}

// Of all other methods nobody knows here what they will do.
PyObject* list_attribute(PyObject* self, PyObject* name) {
  const bool is_known = PyUnicode_CompareWithASCIIString(name, "append") == 0 ||
                        PyUnicode_CompareWithASCIIString(name, "extend") == 0 ||
                        PyUnicode_CompareWithASCIIString(name, "__class__") == 0;
  if (!is_known) doubt(self);
  return PyObject_GenericGetAttr(self, name);
}

template <typename Function>
void* list_slot(Function* function) {
  return reinterpret_cast<void*>(function);
}

PyTypeObject* make_session_list_type() {
  static std::array methods = {
      PyMethodDef{"append", &list_append, METH_O, "Adds an item at the end."},
      PyMethodDef{"extend", &list_extend, METH_O, "Adds items at the end."},
      PyMethodDef{"__reversed__", &list_reversed, METH_NOARGS, nullptr},
      PyMethodDef{"__reduce_ex__", &list_reduce, METH_O, nullptr}, PyMethodDef{}};
  std::array slots = {PyType_Slot{Py_tp_base, &PyList_Type},
                      PyType_Slot{Py_tp_getattro, list_slot(&list_attribute)},
                      PyType_Slot{Py_tp_iter, list_slot(&list_iterate)},
                      PyType_Slot{Py_tp_richcompare, list_slot(&list_compare)},
                      PyType_Slot{Py_tp_methods, methods.data()},
                      PyType_Slot{Py_nb_add, list_slot(&list_add)},
                      PyType_Slot{Py_nb_inplace_add, list_slot(&list_add_in_place)},
                      PyType_Slot{Py_mp_length, list_slot(&list_length)},
                      PyType_Slot{Py_mp_subscript, list_slot(&list_subscript)},
                      PyType_Slot{Py_mp_ass_subscript, list_slot(&list_assign_subscript)},
                      PyType_Slot{Py_sq_length, list_slot(&list_length)},
                      PyType_Slot{Py_sq_concat, list_slot(&list_concat)},
                      PyType_Slot{Py_sq_repeat, list_slot(&list_repeat)},
                      PyType_Slot{Py_sq_item, list_slot(&list_item)},
                      PyType_Slot{Py_sq_ass_item, list_slot(&list_assign_item)},
                      PyType_Slot{Py_sq_contains, list_slot(&list_contains)},
                      PyType_Slot{Py_sq_inplace_concat, list_slot(&list_add_in_place)},
                      PyType_Slot{Py_sq_inplace_repeat, list_slot(&list_repeat_in_place)},
                      PyType_Slot{0, nullptr}};
  PyType_Spec spec = {.name = "dspool_worker._native.SessionList",
                      .basicsize = sizeof(SessionList),
                      .itemsize = 0,
                      .flags = Py_TPFLAGS_DEFAULT,
                      .slots = slots.data()};
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

}  // namespace

PyTypeObject* session_list_type() {
  static PyTypeObject* const kType = make_session_list_type();
  return kType;
}

void notice_use(PyObject* self) noexcept {
  constexpr Py_ssize_t kSessionAndUser = 2;
  SessionList& list = session_list(self);
  if (PyList_GET_SIZE(self) != list.noticed) list.is_doubtful = true;
  if (Py_REFCNT(self) == kSessionAndUser) list.is_unseen = false;
}

}  // namespace dspool::python
