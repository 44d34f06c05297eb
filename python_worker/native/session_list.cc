#include "python_worker/native/session_list.h"

#include <utility>

#include "python_worker/native/session_list_type.h"

namespace dspool::python {
namespace {

bool is_plain_item(PyObject* item) noexcept {
  return PyUnicode_CheckExact(item) || PyLong_CheckExact(item) || PyFloat_CheckExact(item) ||
         PyBool_Check(item) || item == Py_None || PyBytes_CheckExact(item);
}

bool has_containers(PyObject* list) noexcept {
  PyObject** const items = PySequence_Fast_ITEMS(list);
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) {
    if (PyList_Check(items[i]) || PyDict_Check(items[i])) return true;
  }
  return false;
}

}  // namespace

bool is_session_list(PyObject* object) noexcept { return Py_TYPE(object) == session_list_type(); }

PyObject* make_session_list(const Encoding& encoding, ValueDecoder& decoder) {
  PyTypeObject* const type = session_list_type();
  if (type == nullptr) return nullptr;
  auto made = pybind11::reinterpret_steal<pybind11::object>(PyType_GenericAlloc(type, 0));
  if (!made) return nullptr;
  auto& to = *reinterpret_cast<PyListObject*>(made.ptr());
  const bool is_decoded = encoding.each([&](Encoding::Bytes piece) {
    const auto part = pybind11::reinterpret_steal<pybind11::object>(decoder.decode(piece));
    if (!part) return false;
    if (!PyList_CheckExact(part.ptr())) {
      PyErr_SetString(PyExc_ValueError, "what was appended to a list is no list");
      return false;
    }
    if (Py_SIZE(&to) != 0) {
      const Py_ssize_t end = Py_SIZE(&to);
      return PyList_SetSlice(made.ptr(), end, end, part.ptr()) == 0;
    }
    auto& from = *reinterpret_cast<PyListObject*>(part.ptr());
    std::swap(to.ob_item, from.ob_item);
    std::swap(to.allocated, from.allocated);
    const Py_ssize_t size = Py_SIZE(&from);
    Py_SET_SIZE(&from, Py_SIZE(&to));
    Py_SET_SIZE(&to, size);
    return true;
  });
  if (!is_decoded) return nullptr;
  confirm(made.ptr());
  session_list(made.ptr()).has_containers = has_containers(made.ptr());
  return made.release().ptr();
}

void hand_out(SessionList& list) noexcept {
  if (list.is_unseen) list.is_doubtful = true;  // of two references only one can be seen
  list.is_unseen = true;
  list.has_grown_in_place = false;
}

void notice_assignment(PyObject* list) noexcept {
  if (std::exchange(session_list(list).has_grown_in_place, false)) notice_use(list);
}

bool has_only_plain_items(PyObject* list, Py_ssize_t first) noexcept {
  PyObject** const items = PySequence_Fast_ITEMS(list);
  for (Py_ssize_t i = first; i < PyList_GET_SIZE(list); ++i) {
    if (!is_plain_item(items[i])) return false;
  }
  return true;
}

void confirm(PyObject* list) noexcept {
  SessionList& confirmed = session_list(list);
  confirmed.stored = confirmed.noticed = PyList_GET_SIZE(list);
  confirmed.is_unseen = confirmed.is_doubtful = confirmed.has_grown_in_place = false;
}

bool store_growth(PyObject* list, Encoding::Bytes added, ValueDecoder& decoder) {
  const Py_ssize_t stored = session_list(list).stored;
  if (!has_only_plain_items(list, stored)) {
    const auto anew = pybind11::reinterpret_steal<pybind11::object>(decoder.decode(added));
    if (!anew) return false;
    session_list(list).has_containers |= has_containers(anew.ptr());
    return PyList_SetSlice(list, stored, PyList_GET_SIZE(list), anew.ptr()) == 0;
  }
  return true;
}

bool take_back_growth(PyObject* list) {
  const Py_ssize_t stored = session_list(list).stored;
  return PyList_SetSlice(list, stored, PyList_GET_SIZE(list), nullptr) == 0;
}

std::size_t held_bytes(const SessionList& list, const Encoding& encoding) noexcept {
  constexpr std::size_t kItemBytes = 64;  // a place in the list, and an object's head
  return encoding.held_bytes() + static_cast<std::size_t>(PyList_GET_SIZE(&list)) * kItemBytes;
}

}  // namespace dspool::python
