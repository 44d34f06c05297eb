#include "python_worker/native/value_decoder.h"

namespace dspool::python {

PyObject* ValueDecoder::decode(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kSmallestValueBytes) {
    PyErr_SetString(PyExc_ValueError, "a value of fewer than 3 bytes is not a FlexBuffer");
    return nullptr;
  }
  return decode(flexbuffers::GetRoot(bytes.data(), bytes.size()));
}

PyObject* ValueDecoder::decode(flexbuffers::Reference value, int depth, Views* views) {
  switch (value.GetType()) {
    case flexbuffers::FBT_NULL:
      Py_RETURN_NONE;
    case flexbuffers::FBT_BOOL:
      return PyBool_FromLong(value.AsBool());
    case flexbuffers::FBT_INT:
    case flexbuffers::FBT_INDIRECT_INT:
      return PyLong_FromLongLong(value.AsInt64());
    case flexbuffers::FBT_UINT:
    case flexbuffers::FBT_INDIRECT_UINT:
      return PyLong_FromUnsignedLongLong(value.AsUInt64());
    case flexbuffers::FBT_FLOAT:
    case flexbuffers::FBT_INDIRECT_FLOAT:
      return PyFloat_FromDouble(value.AsDouble());
    case flexbuffers::FBT_KEY:
      return key(value.AsKey());
    case flexbuffers::FBT_STRING: {
      const auto text = value.AsString();
      return PyUnicode_DecodeUTF8(text.c_str(), static_cast<Py_ssize_t>(text.size()), nullptr);
    }
    case flexbuffers::FBT_BLOB: {
      const auto blob = value.AsBlob();
      if (views != nullptr) return views->make({blob.data(), blob.size()});
      return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(blob.data()),
                                       static_cast<Py_ssize_t>(blob.size()));
    }
    default:
      break;
  }

  if (depth > kMaxDepth) {
    PyErr_Format(PyExc_ValueError, "a value nests deeper than %d", kMaxDepth);
    return nullptr;
  }
  if (value.IsMap()) return decode_map(value.AsMap(), depth, views);
  if (value.IsUntypedVector()) return decode_list(value.AsVector(), depth, views);
  if (value.IsTypedVector()) return decode_list(value.AsTypedVector(), depth, views);
  if (value.IsFixedTypedVector()) return decode_list(value.AsFixedTypedVector(), depth, views);
  PyErr_Format(PyExc_ValueError, "a value has the unknown FlexBuffer type %d", value.GetType());
  return nullptr;
}

PyObject* ValueDecoder::decode_map(const flexbuffers::Map& map, int depth, Views* views) {
  PyObject* dict = PyDict_New();
  if (dict == nullptr) return nullptr;
  const auto keys = map.Keys();
  const auto values = map.Values();
  const std::size_t size = values.size();
  for (std::size_t i = 0; i < size; ++i) {
    PyObject* name = key(keys[i].AsKey());
    PyObject* item = name == nullptr ? nullptr : decode(values[i], depth + 1, views);
    const bool added = item != nullptr && PyDict_SetItem(dict, name, item) == 0;
    Py_XDECREF(name);
    Py_XDECREF(item);
    if (!added) {
      Py_DECREF(dict);
      return nullptr;
    }
  }
  return dict;
}

template <typename Vector>
PyObject* ValueDecoder::decode_list(const Vector& vector, int depth, Views* views) {
  const std::size_t size = vector.size();
  PyObject* list = PyList_New(static_cast<Py_ssize_t>(size));
  if (list == nullptr) return nullptr;
  for (std::size_t i = 0; i < size; ++i) {
    PyObject* item = decode(vector[i], depth + 1, views);
    if (item == nullptr) {
      Py_DECREF(list);
      return nullptr;
    }
    PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), item);
  }
  return list;
}

}  // namespace dspool::python
