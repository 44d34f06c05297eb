#include "python_worker/native/session_state.h"

#include <array>
#include <new>

#include "python_worker/native/canonical_entry.h"
#include "python_worker/native/session_fields.h"
#include "python_worker/native/value_encoder.h"

namespace dspool::python {
namespace {

SessionState& state_of(PyObject* self) noexcept { return *reinterpret_cast<SessionState*>(self); }

bool check_open(const SessionState& state) {
  if (state.open) return true;
  PyErr_SetString(PyExc_RuntimeError,
                  "the command that this session was given to has ended: keep values, not the "
                  "session");
  return false;
}

PyObject* subscript(PyObject* self, PyObject* key) {
  SessionState& state = state_of(self);
  if (!check_open(state)) return nullptr;
  PyObject* value = look_up(state, key);
  if (value == nullptr && !PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, key);
  return value;
}

PyObject* get(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  SessionState& state = state_of(self);
  if (!check_open(state)) return nullptr;
  if (count < 1 || count > 2) {
    PyErr_Format(PyExc_TypeError, "get() takes a key and a default, not %zd arguments", count);
    return nullptr;
  }
  PyObject* value = look_up(state, args[0]);
  if (value != nullptr || PyErr_Occurred()) return value;
  return Py_NewRef(count == 2 ? args[1] : Py_None);
}

int assign(PyObject* self, PyObject* given_key, PyObject* value) {
  SessionState& state = state_of(self);
  if (!check_open(state)) return -1;
  if (!PyUnicode_Check(given_key)) {
    PyErr_Format(PyExc_TypeError, "a session's keys are str, not %s", Py_TYPE(given_key)->tp_name);
    return -1;
  }
  // Of a subclass of str, only the text counts.
  const auto key = pybind11::reinterpret_steal<pybind11::object>(PyUnicode_FromObject(given_key));
  if (!key) return -1;
  if (value == nullptr) {
    const int found = has_field(state, key.ptr());
    if (found == 0) PyErr_SetObject(PyExc_KeyError, key.ptr());
    if (found != 1) return -1;
  }
  return set_field(state, key.ptr(), value) ? 0 : -1;
}

int contains(PyObject* self, PyObject* key) {
  SessionState& state = state_of(self);
  return check_open(state) ? has_field(state, key) : -1;
}

Py_ssize_t length(PyObject* self) {
  SessionState& state = state_of(self);
  return check_open(state) ? count_fields(state) : -1;
}

PyObject* iterate(PyObject* self) {
  SessionState& state = state_of(self);
  if (!check_open(state)) return nullptr;
  const auto keys = pybind11::reinterpret_steal<pybind11::object>(sorted_keys(state));
  return keys ? PyObject_GetIter(keys.ptr()) : nullptr;
}

// As MutableMapping's, which looks for the first key once for each that it removes.
PyObject* remove_all(PyObject* self, PyObject* /*none*/) {
  SessionState& state = state_of(self);
  if (!check_open(state)) return nullptr;
  const auto keys = pybind11::reinterpret_steal<pybind11::object>(sorted_keys(state));
  if (!keys) return nullptr;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(keys.ptr()); ++i) {
    if (!set_field(state, PyList_GET_ITEM(keys.ptr(), i), nullptr)) return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* get_id(PyObject* self, void*) { return Py_NewRef(state_of(self).id); }

PyObject* get_deadline_ns(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(state_of(self).deadline_ns);
}

PyObject* get_call(PyObject* self, void*) { return Py_NewRef(state_of(self).call); }

int set_call(PyObject* self, PyObject* value, void*) {
  Py_XSETREF(state_of(self).call, Py_NewRef(value == nullptr ? Py_None : value));
  return 0;
}

bool fill(SessionState& state, PyObject* fields) {
  ValueEncoder encoder;
  Py_ssize_t position = 0;
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  while (PyDict_Next(fields, &position, &key, &value)) {
    if (!PyUnicode_CheckExact(key)) {
      PyErr_SetString(PyExc_TypeError, "a session's keys are str");
      return false;
    }
    if (!encoder.encode(value)) {
      PyErr_SetString(PyExc_TypeError, encoder.error("a field").c_str());
      return false;
    }
    const auto entry =
        pybind11::reinterpret_steal<pybind11::object>(canonical_entry(value, encoder.bytes()));
    if (!entry || !store_entry(state, key, nullptr, entry.ptr())) return false;
  }
  return true;
}

PyObject* create(PyTypeObject* type, PyObject* args, PyObject* keywords) {
  PyObject* id = nullptr;
  PyObject* fields = nullptr;
  static std::array names = {const_cast<char*>("id"), const_cast<char*>("fields"),
                             static_cast<char*>(nullptr)};
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "|UO!", names.data(), &id, &PyDict_Type,
                                   &fields)) {
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  SessionState& state = state_of(self);
  new (&state.unread) std::unique_ptr<UnreadFields>();
  new (&state.decoder) std::shared_ptr<ValueDecoder>();
  state.id = id == nullptr ? PyUnicode_New(0, 0) : Py_NewRef(id);
  state.fields = PyDict_New();
  state.touched = PyDict_New();
  state.call = Py_NewRef(Py_None);
  state.open = true;
  if (state.id == nullptr || state.fields == nullptr || state.touched == nullptr ||
      (fields != nullptr && !fill(state, fields))) {
    Py_DECREF(self);
    return nullptr;
  }
  return self;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  SessionState& state = state_of(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(state.fields);
  Py_VISIT(state.touched);
  Py_VISIT(state.call);
  return 0;
}

int clear(PyObject* self) {
  SessionState& state = state_of(self);
  state.open = false;
  Py_CLEAR(state.fields);
  Py_CLEAR(state.touched);
  Py_CLEAR(state.call);
  return 0;
}

void destroy(PyObject* self) {
  PyObject_GC_UnTrack(self);
  PyTypeObject* type = Py_TYPE(self);
  clear(self);
  Py_CLEAR(state_of(self).id);
  state_of(self).unread.~unique_ptr();
  state_of(self).decoder.~shared_ptr();
  type->tp_free(self);
  Py_DECREF(type);
}

template <typename Function>
void* slot(Function* function) {
  return reinterpret_cast<void*>(function);
}

constexpr const char* kDoc =
    "SessionState(id='', fields={})\n--\n\nA session's fields: a mapping that notices changes.";

}  // namespace

void add_session_state_type(pybind11::module_& module) {
  static std::array methods = {
      PyMethodDef{"get", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&get)),
                  METH_FASTCALL, "The value of a key, or the default."},
      PyMethodDef{"clear", &remove_all, METH_NOARGS, "Removes all fields."}, PyMethodDef{}};
  static std::array properties = {
      PyGetSetDef{"id", &get_id, nullptr, "The session's name; '' in an anonymous call.", nullptr},
      PyGetSetDef{"deadline_ns", &get_deadline_ns, nullptr,
                  "When the call ends, in CLOCK_MONOTONIC nanoseconds; 0: never.", nullptr},
      PyGetSetDef{"call", &get_call, &set_call,
                  "What the command runs for; None where no engine has called it.", nullptr},
      PyGetSetDef{}};
  std::array slots = {PyType_Slot{Py_tp_new, slot(&create)},
                      PyType_Slot{Py_tp_dealloc, slot(&destroy)},
                      PyType_Slot{Py_tp_traverse, slot(&traverse)},
                      PyType_Slot{Py_tp_clear, slot(&clear)},
                      PyType_Slot{Py_tp_iter, slot(&iterate)},
                      PyType_Slot{Py_mp_subscript, slot(&subscript)},
                      PyType_Slot{Py_mp_ass_subscript, slot(&assign)},
                      PyType_Slot{Py_mp_length, slot(&length)},
                      PyType_Slot{Py_sq_contains, slot(&contains)},
                      PyType_Slot{Py_tp_methods, methods.data()},
                      PyType_Slot{Py_tp_getset, properties.data()},
                      PyType_Slot{Py_tp_doc, const_cast<char*>(kDoc)},
                      PyType_Slot{0, nullptr}};
  PyType_Spec spec = {.name = "dspool_worker._native.SessionState",
                      .basicsize = sizeof(SessionState),
                      .itemsize = 0,
                      .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                      .slots = slots.data()};
  PyObject* type = PyType_FromSpec(&spec);
  if (type == nullptr) throw pybind11::error_already_set();
  module.attr("SessionState") = pybind11::reinterpret_steal<pybind11::object>(type);
}

}  // namespace dspool::python
