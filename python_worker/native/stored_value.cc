#include "python_worker/native/stored_value.h"

#include <new>
#include <utility>

#include "python_worker/native/session_list.h"

namespace dspool::python {
namespace {

void destroy_stored_value(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  Py_CLEAR(stored_value(self).list);
  stored_value(self).encoding.~Encoding();
  type->tp_free(self);
  Py_DECREF(type);
}

PyTypeObject* make_stored_value_type() {
  static PyType_Slot slots[] = {
      {Py_tp_dealloc, reinterpret_cast<void*>(&destroy_stored_value)},
      {0, nullptr},
  };
  static PyType_Spec spec{"dspool_worker._native.StoredValue", sizeof(StoredValue), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

PyTypeObject* stored_value_type() {
  static PyTypeObject* const kType = make_stored_value_type();
  return kType;
}

}  // namespace

bool is_stored_value(PyObject* object) noexcept { return Py_TYPE(object) == stored_value_type(); }

PyObject* make_stored_value(std::span<const Encoding::Bytes> pieces, bool is_foreign) {
  PyTypeObject* const type = stored_value_type();
  PyObject* const self = type == nullptr ? nullptr : type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  StoredValue& stored = stored_value(self);
  new (&stored.encoding) Encoding(pieces, is_foreign);
  stored.list = nullptr;
  stored.lent = nullptr;
  stored.counted_bytes = 0;
  return self;
}

PyObject* lend(StoredValue& stored, ValueDecoder& decoder) {
  PyObject* value = std::exchange(stored.list, nullptr);
  const bool is_list = value != nullptr || stored.encoding.is_list();
  if (value == nullptr) {
    value = is_list ? make_session_list(stored.encoding, decoder)
                    : decoder.decode(stored.encoding.base());
  }
  if (is_list && value != nullptr) {
    stored.lent = value;
    hand_out(session_list(value));
  }
  return value;
}

std::size_t held_bytes(const StoredValue& stored) noexcept {
  return sizeof(StoredValue) + (stored.list == nullptr
                                    ? stored.encoding.held_bytes()
                                    : held_bytes(session_list(stored.list), stored.encoding));
}

}  // namespace dspool::python
