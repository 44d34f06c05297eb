#include "python_worker/native/views.h"

#include <new>
#include <utility>

namespace dspool::python {
namespace {

// What a memoryview of a payload is made from, and kept alive by it: keeps the payload mapped.
struct Exporter {
  PyObject_HEAD std::shared_ptr<ipc::PayloadView> payload;
  std::span<const std::uint8_t> bytes;
  Py_ssize_t exports;
};

Exporter& exporter_of(PyObject* self) noexcept { return *reinterpret_cast<Exporter*>(self); }

int get_buffer(PyObject* self, Py_buffer* buffer, int flags) {
  Exporter& exporter = exporter_of(self);
  auto* data = const_cast<std::uint8_t*>(exporter.bytes.data());
  const auto size = static_cast<Py_ssize_t>(exporter.bytes.size());
  if (PyBuffer_FillInfo(buffer, self, data, size, /*readonly=*/1, flags) < 0) return -1;
  ++exporter.exports;
  return 0;
}

void release_buffer(PyObject* self, Py_buffer* /*buffer*/) { --exporter_of(self).exports; }

void deallocate(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  exporter_of(self).~Exporter();
  type->tp_free(self);
  Py_DECREF(type);
}

PyTypeObject* make_exporter_type() {
  static PyType_Slot slots[] = {
      {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate)},
      {Py_bf_getbuffer, reinterpret_cast<void*>(&get_buffer)},
      {Py_bf_releasebuffer, reinterpret_cast<void*>(&release_buffer)},
      {0, nullptr},
  };
  static PyType_Spec spec{"dspool_worker._native.Payload", sizeof(Exporter), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

}  // namespace

PyObject* Views::make(std::span<const std::uint8_t> bytes) {
  const auto exporter = pybind11::reinterpret_steal<pybind11::object>(export_bytes(bytes));
  if (!exporter) return nullptr;
  auto view =
      pybind11::reinterpret_steal<pybind11::object>(PyMemoryView_FromObject(exporter.ptr()));
  if (!view) return nullptr;
  if (payload_) exporters_.push_back(exporter);
  return made_.emplace_back(std::move(view)).inc_ref().ptr();
}

PyObject* Views::export_bytes(std::span<const std::uint8_t> bytes) const {
  if (!payload_) {
    return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(bytes.data()),
                                     static_cast<Py_ssize_t>(bytes.size()));
  }
  static PyTypeObject* const kType = make_exporter_type();
  if (kType == nullptr) return nullptr;
  PyObject* const self = kType->tp_alloc(kType, 0);
  if (self == nullptr) return nullptr;
  Exporter& exporter = exporter_of(self);
  new (&exporter.payload) std::shared_ptr<ipc::PayloadView>(payload_);
  exporter.bytes = bytes;
  exporter.exports = 0;
  return self;
}

void Views::end() noexcept {
  for (const pybind11::object& view : made_) {
    PyObject* const released = PyObject_CallMethod(view.ptr(), "release", nullptr);
    if (released == nullptr) PyErr_Clear();  // somebody looks through it; see below
    Py_XDECREF(released);
  }
  bool is_looked_at = false;
  for (const pybind11::object& exporter : exporters_) {
    is_looked_at = is_looked_at || exporter_of(exporter.ptr()).exports != 0;
  }
  if (is_looked_at && !payload_->keep()) {
    Py_FatalError("there is no memory to keep what a command still looks at");
  }
  made_.clear();
  exporters_.clear();
  payload_.reset();
}

}  // namespace dspool::python
