#include "python_worker/native/session_state.h"

#include <array>
#include <new>

#include "python_worker/native/value_encoder.h"

namespace dspool::python {
namespace {

SessionState& state_of(PyObject* self) noexcept { return *reinterpret_cast<SessionState*>(self); }

bool is_scalar(PyObject* value) noexcept {
  return PyUnicode_CheckExact(value) || PyLong_CheckExact(value) || PyFloat_CheckExact(value) ||
         PyBool_Check(value) || value == Py_None;
}

bool check_open(const SessionState& state) {
  if (state.open) return true;
  PyErr_SetString(PyExc_RuntimeError,
                  "the command that this session was given to has ended: keep values, not the "
                  "session");
  return false;
}

// Reads a key. A new reference to the value, or null; with a Python error only when reading failed.
PyObject* look_up(SessionState& state, PyObject* key) {
  PyObject* entry = PyDict_GetItemWithError(state.fields, key);
  if (entry == nullptr || !PyBytes_CheckExact(entry)) return Py_XNewRef(entry);
  const int touched = PyDict_Contains(state.touched, key);
  if (touched != 0) return touched < 0 ? nullptr : Py_NewRef(entry);

  if (!state.decoder) state.decoder = std::make_shared<ValueDecoder>();
  Py_INCREF(entry);
  PyObject* value =
      state.decoder->decode({reinterpret_cast<const std::uint8_t*>(PyBytes_AS_STRING(entry)),
                             static_cast<std::size_t>(PyBytes_GET_SIZE(entry))});
  if (value != nullptr && (PyDict_SetItem(state.touched, key, entry) < 0 ||
                           PyDict_SetItem(state.fields, key, value) < 0)) {
    Py_CLEAR(value);
  }
  Py_DECREF(entry);
  return value;
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

// Remembers what a key held before the command first changed it (S2).
bool touch(SessionState& state, PyObject* key) {
  const int touched = PyDict_Contains(state.touched, key);
  if (touched != 0) return touched > 0;
  PyObject* before = PyDict_GetItemWithError(state.fields, key);
  if (before == nullptr && PyErr_Occurred()) return false;
  return PyDict_SetItem(state.touched, key, before == nullptr ? Py_Ellipsis : before) == 0;
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
  if (value != nullptr) {
    return touch(state, key.ptr()) ? PyDict_SetItem(state.fields, key.ptr(), value) : -1;
  }
  const int found = PyDict_Contains(state.fields, key.ptr());
  if (found == 0) PyErr_SetObject(PyExc_KeyError, key.ptr());
  if (found != 1 || !touch(state, key.ptr())) return -1;
  return PyDict_DelItem(state.fields, key.ptr());
}

int contains(PyObject* self, PyObject* key) {
  SessionState& state = state_of(self);
  return check_open(state) ? PyDict_Contains(state.fields, key) : -1;
}

Py_ssize_t length(PyObject* self) {
  SessionState& state = state_of(self);
  return check_open(state) ? PyDict_GET_SIZE(state.fields) : -1;
}

PyObject* iterate(PyObject* self) {
  SessionState& state = state_of(self);
  return check_open(state) ? PyObject_GetIter(state.fields) : nullptr;
}

PyObject* get_id(PyObject* self, void*) { return Py_NewRef(state_of(self).id); }

PyObject* get_deadline_ns(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(state_of(self).deadline_ns);
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
    PyObject* entry = canonical_entry(value, encoder.bytes());
    const bool added = entry != nullptr && PyDict_SetItem(state.fields, key, entry) == 0;
    Py_XDECREF(entry);
    if (!added) return false;
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
  new (&state.decoder) std::shared_ptr<ValueDecoder>();
  state.id = id == nullptr ? PyUnicode_New(0, 0) : Py_NewRef(id);
  state.fields = PyDict_New();
  state.touched = PyDict_New();
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
  return 0;
}

int clear(PyObject* self) {
  SessionState& state = state_of(self);
  state.open = false;
  Py_CLEAR(state.fields);
  Py_CLEAR(state.touched);
  return 0;
}

void destroy(PyObject* self) {
  PyObject_GC_UnTrack(self);
  PyTypeObject* type = Py_TYPE(self);
  clear(self);
  Py_CLEAR(state_of(self).id);
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
      PyMethodDef{}};
  static std::array properties = {
      PyGetSetDef{"id", &get_id, nullptr, "The session's name; '' in an anonymous call.", nullptr},
      PyGetSetDef{"deadline_ns", &get_deadline_ns, nullptr,
                  "When the call ends, in CLOCK_MONOTONIC nanoseconds; 0: never.", nullptr},
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

bool roll_back(SessionState& state) {
  Py_ssize_t position = 0;
  PyObject* key = nullptr;
  PyObject* before = nullptr;
  while (PyDict_Next(state.touched, &position, &key, &before)) {
    if (before != Py_Ellipsis) {
      if (PyDict_SetItem(state.fields, key, before) < 0) return false;
    } else if (PyDict_Contains(state.fields, key) == 1 && PyDict_DelItem(state.fields, key) < 0) {
      return false;
    }
  }
  PyDict_Clear(state.touched);
  return true;
}

PyObject* canonical_entry(PyObject* value, std::span<const std::uint8_t> encoding) {
  if (is_scalar(value)) return Py_NewRef(value);
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(encoding.data()),
                                   static_cast<Py_ssize_t>(encoding.size()));
}

bool load_fields(SessionState& state, const wire::SessionRecord& record) {
  if (record.fields() == nullptr) return true;
  for (const wire::Field* field : *record.fields()) {
    const flatbuffers::Vector<std::uint8_t>& encoding = *field->value();
    const auto value = flexbuffers::GetRoot(encoding.data(), encoding.size());
    const bool scalar =
        flexbuffers::IsInline(value.GetType()) || value.IsNumeric() || value.IsString();
    PyObject* entry =
        scalar ? state.decoder->decode(value)
               : PyBytes_FromStringAndSize(reinterpret_cast<const char*>(encoding.data()),
                                           static_cast<Py_ssize_t>(encoding.size()));
    if (entry == nullptr) return false;
    PyObject* key = state.decoder->key(field->key()->string_view());
    const bool added = key != nullptr && PyDict_SetItem(state.fields, key, entry) == 0;
    Py_XDECREF(key);
    Py_DECREF(entry);
    if (!added) return false;
  }
  return true;
}

}  // namespace dspool::python
