#include "python_worker/native/key_cache.h"

#include "python_worker/native/key_hash.h"

namespace dspool::python {

PyObject* KeyCache::get(std::string_view key) {
  const auto size = static_cast<Py_ssize_t>(key.size());
  if (key.size() > kLongestKeyBytes) return PyUnicode_DecodeUTF8(key.data(), size, nullptr);

  Slot& slot = slots_[key_hash(key) % kSlots];
  if (slot.string && slot.text == key) return slot.string.inc_ref().ptr();

  PyObject* string = PyUnicode_DecodeUTF8(key.data(), size, nullptr);
  if (string == nullptr) return nullptr;
  PyUnicode_InternInPlace(&string);
  Py_ssize_t length = 0;
  const char* text = PyUnicode_AsUTF8AndSize(string, &length);
  if (text == nullptr) {
    Py_DECREF(string);
    return nullptr;
  }
  slot.text = {text, static_cast<std::size_t>(length)};
  slot.string = pybind11::reinterpret_borrow<pybind11::object>(string);
  return string;
}

}  // namespace dspool::python
