#include "python_worker/native/call_type.h"

#include <array>
#include <memory>
#include <new>

namespace dspool::python {
namespace {

struct CallObject {
  PyObject_HEAD std::unique_ptr<LiveCall> call;
};

LiveCall& call_of(PyObject* self) noexcept { return *reinterpret_cast<CallObject*>(self)->call; }

PyObject* get_request_id(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(call_of(self).terms().request_id);
}

PyObject* get_attempt(PyObject* self, void*) {
  return PyLong_FromUnsignedLong(call_of(self).terms().attempt);
}

PyObject* get_language_model(PyObject* self, void*) {
  return Py_NewRef(call_of(self).language_model().ptr());
}

PyObject* get_streams(PyObject* self, void*) {
  return PyBool_FromLong(call_of(self).terms().streams ? 1 : 0);
}

PyObject* get_cancelled(PyObject* self, void*) {
  return PyBool_FromLong(call_of(self).is_cancelled() ? 1 : 0);
}

PyObject* emit_chunk(PyObject* self, PyObject* chunk) {
  if (!call_of(self).emit(chunk)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* add_usage(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) {
    PyErr_Format(PyExc_TypeError, "add_usage() takes input and output tokens, not %zd arguments",
                 count);
    return nullptr;
  }
  std::array<std::uint64_t, 2> tokens{};
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = PyLong_AsUnsignedLongLong(args[i]);
    if (PyErr_Occurred() != nullptr) return nullptr;
  }
  call_of(self).add_usage({.input_tokens = tokens[0], .output_tokens = tokens[1]});
  Py_RETURN_NONE;
}

void destroy_call(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  reinterpret_cast<CallObject*>(self)->call.~unique_ptr();
  type->tp_free(self);
  Py_DECREF(type);
}

template <typename Function>
void* call_slot(Function* function) {
  return reinterpret_cast<void*>(function);
}

constexpr const char* kCallDoc =
    "One call from the engine, as its command sees it (dspool_worker.call.Call).";

PyTypeObject* make_call_type() {
  static std::array methods = {
      PyMethodDef{"emit", &emit_chunk, METH_O,
                  "Sends a chunk to the caller that listens, and waits while it is behind."},
      PyMethodDef{"add_usage", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&add_usage)),
                  METH_FASTCALL, "Counts what a language model charged for."},
      PyMethodDef{}};
  static std::array properties = {
      PyGetSetDef{"request_id", &get_request_id, nullptr,
                  "Names the call in the engine's log and history.", nullptr},
      PyGetSetDef{"attempt", &get_attempt, nullptr, "Counts from 1 within the call.", nullptr},
      PyGetSetDef{"language_model", &get_language_model, nullptr,
                  "The session's, or else the pool's; None: none is set.", nullptr},
      PyGetSetDef{"streams", &get_streams, nullptr, "Whether the caller listens to chunks.",
                  nullptr},
      PyGetSetDef{"cancelled", &get_cancelled, nullptr, "Whether the call has ended already.",
                  nullptr},
      PyGetSetDef{}};
  std::array slots = {PyType_Slot{Py_tp_dealloc, call_slot(&destroy_call)},
                      PyType_Slot{Py_tp_methods, methods.data()},
                      PyType_Slot{Py_tp_getset, properties.data()},
                      PyType_Slot{Py_tp_doc, const_cast<char*>(kCallDoc)}, PyType_Slot{0, nullptr}};
  PyType_Spec spec = {.name = "dspool_worker._native.EngineCall",
                      .basicsize = sizeof(CallObject),
                      .itemsize = 0,
                      .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                      .slots = slots.data()};
  PyObject* type = PyType_FromSpec(&spec);
  if (type == nullptr) throw pybind11::error_already_set();
  return reinterpret_cast<PyTypeObject*>(type);
}

PyTypeObject* call_type() {
  static PyTypeObject* const kType = make_call_type();
  return kType;
}

}  // namespace

void add_call_type(pybind11::module_& module) {
  auto* type = reinterpret_cast<PyObject*>(call_type());
  module.attr("EngineCall") = pybind11::reinterpret_borrow<pybind11::object>(type);
}

pybind11::object make_call(ipc::WorkerChannel& channel, std::uint64_t max_bytes,
                           const pybind11::object& cancelled_error) {
  PyObject* self = call_type()->tp_alloc(call_type(), 0);
  if (self == nullptr) throw pybind11::error_already_set();
  new (&reinterpret_cast<CallObject*>(self)->call)
      std::unique_ptr<LiveCall>(std::make_unique<LiveCall>(channel, max_bytes, cancelled_error));
  return pybind11::reinterpret_steal<pybind11::object>(self);
}

LiveCall& live_call(const pybind11::object& call) noexcept { return call_of(call.ptr()); }

}  // namespace dspool::python
