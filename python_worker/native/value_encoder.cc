#include "python_worker/native/value_encoder.h"

#include <algorithm>
#include <exception>

#include "python_worker/native/key_hash.h"
#include "python_worker/native/value_decoder.h"

namespace dspool::python {
namespace {

constexpr std::size_t kInitialBytes = 1024;
constexpr std::size_t kKeptValueBytes = std::size_t{1} << 20;  // from one value to the next
constexpr std::size_t kLongestPathBytes = 256;
// The engine bounds how much larger a value is to walk than to send, so long keys are not shared.
constexpr std::size_t kLongestSharedKeyBytes = 64;

std::string with_article(std::string_view noun) {
  const bool vowel = std::string_view("aeiouAEIOU").find(noun.front()) != std::string_view::npos;
  return std::string(vowel ? "an " : "a ").append(noun);
}

// How Python would write the step to a member: `.name`, or `["a name"]`.
std::string member_step(std::string_view key) {
  const auto word = [](char c) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (!key.empty() && std::all_of(key.begin(), key.end(), word)) return "." + std::string(key);
  return "[\"" + std::string(key) + "\"]";
}

// `is a set: use ...`, as Python has it, which knows more of types.
std::string refused(const pybind11::object& type) {
  try {
    return pybind11::cast<std::string>(
        pybind11::module_::import("dspool_worker.advice").attr("refused")(type));
  } catch (const std::exception&) {
    return "is " + with_article(reinterpret_cast<PyTypeObject*>(type.ptr())->tp_name) +
           ", which is no value";
  }
}

}  // namespace

bool ValueEncoder::encode(PyObject* value) {
  begin();
  if (!put(value, 1)) return false;
  finish();
  return true;
}

bool ValueEncoder::encode_items(PyObject* sequence, Py_ssize_t first, Py_ssize_t last) {
  begin();
  if (!put_items(sequence, first, last, 1)) return false;
  finish();
  return true;
}

void ValueEncoder::begin() {
  if (!builder_ || last_bytes_ > kKeptValueBytes) {
    builder_.emplace(kInitialBytes, flexbuffers::BUILDER_FLAG_NONE);
  }
  builder_->Clear();
  items_.clear();
  path_.clear();
  refused_type_ = {};
  ++encoding_;
}

void ValueEncoder::finish() {
  builder_->Finish();
  last_bytes_ = bytes().size();
}

std::string ValueEncoder::error(std::string_view root) const {
  std::string place(root);
  std::for_each(path_.rbegin(), path_.rend(), [&](const std::string& step) { place += step; });
  if (place.size() > kLongestPathBytes) place = place.substr(0, kLongestPathBytes) + "...";
  return place + ' ' + (refused_type_ ? refused(refused_type_) : error_);
}

bool ValueEncoder::put(PyObject* value, int depth) {
  if (value == Py_None) {
    builder_->Null();
    return true;
  }
  if (PyUnicode_Check(value)) return put_text(value);
  if (PyBool_Check(value)) {
    builder_->Bool(value == Py_True);
    return true;
  }
  if (PyLong_Check(value)) return put_int(value);
  if (PyFloat_Check(value)) {
    builder_->Double(PyFloat_AS_DOUBLE(value));
    return true;
  }
  if (PyDict_Check(value)) return put_dict(value, depth);
  if (PyList_Check(value) || PyTuple_Check(value)) {
    return put_items(value, 0, PySequence_Fast_GET_SIZE(value), depth);
  }
  if (PyBytes_Check(value)) {
    builder_->Blob(PyBytes_AS_STRING(value), static_cast<std::size_t>(PyBytes_GET_SIZE(value)));
    return true;
  }
  if (PyMemoryView_Check(value) || PyByteArray_Check(value)) return put_buffer(value);
  return refuse_type(value);
}

bool ValueEncoder::put_int(PyObject* value) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow != 0) return refuse("is an int beyond 64 bits: use a str or a float");
  builder_->Int(number);
  return true;
}

bool ValueEncoder::put_text(PyObject* value) {
  Py_ssize_t length = 0;
  const char* text = PyUnicode_AsUTF8AndSize(value, &length);
  if (text == nullptr) {
    PyErr_Clear();
    return refuse("has a lone surrogate, which UTF-8 cannot express: use bytes");
  }
  builder_->String(text, static_cast<std::size_t>(length));
  return true;
}

bool ValueEncoder::put_buffer(PyObject* value) {
  Py_buffer buffer;
  if (PyObject_GetBuffer(value, &buffer, PyBUF_SIMPLE) < 0) {
    PyErr_Clear();
    return refuse("is a memoryview that is released or not contiguous: use bytes");
  }
  builder_->Blob(buffer.buf, static_cast<std::size_t>(buffer.len));
  PyBuffer_Release(&buffer);
  return true;
}

bool ValueEncoder::put_items(PyObject* sequence, Py_ssize_t first, Py_ssize_t last, int depth) {
  if (depth > kMaxDepth) return refuse_depth();
  PyObject** const items = PySequence_Fast_ITEMS(sequence);
  const std::size_t start = builder_->StartVector();
  for (Py_ssize_t i = first; i < last; ++i) {
    if (!put(items[i], depth + 1)) {
      path_.push_back("[" + std::to_string(i) + "]");
      return false;
    }
  }
  builder_->EndVector(start, false, false);
  return true;
}

bool ValueEncoder::put_dict(PyObject* value, int depth) {
  if (depth > kMaxDepth) return refuse_depth();
  const std::size_t first = items_.size();
  if (!take_items(value)) return false;
  const std::size_t last = items_.size();
  if (!sort_items(first)) return refuse("has a key twice: use only plain str");

  const std::size_t start = builder_->StartMap();
  for (std::size_t i = first; i < last; ++i) {
    const Item item = items_[i];
    put_key(item.key);
    if (!put(item.value, depth + 1)) {
      path_.push_back(member_step(item.key));
      return false;
    }
  }
  builder_->EndMap(start);
  items_.resize(first);
  return true;
}

bool ValueEncoder::take_items(PyObject* dict) {
  Py_ssize_t position = 0;
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  while (PyDict_Next(dict, &position, &key, &value)) {
    if (!PyUnicode_Check(key)) {
      return refuse("has a key that is " + with_article(Py_TYPE(key)->tp_name) + ": use only str");
    }
    Py_ssize_t length = 0;
    const char* text = PyUnicode_AsUTF8AndSize(key, &length);
    if (text == nullptr) {
      PyErr_Clear();
      return refuse("has a key with a lone surrogate, which UTF-8 cannot express");
    }
    const std::string_view name(text, static_cast<std::size_t>(length));
    if (name.find('\0') != std::string_view::npos) {
      return refuse("has a key with a NUL character, which a map cannot hold");
    }
    items_.push_back({name, value});
  }
  return true;
}

// Sorts the items from `first` on. False: two keys that differ for Python have the same text.
bool ValueEncoder::sort_items(std::size_t first) {
  const auto begin = items_.begin() + static_cast<std::ptrdiff_t>(first);
  const auto not_ascending = [](const Item& a, const Item& b) { return a.key >= b.key; };
  if (std::adjacent_find(begin, items_.end(), not_ascending) == items_.end()) return true;
  std::sort(begin, items_.end(), [](const Item& a, const Item& b) { return a.key < b.key; });
  return std::adjacent_find(begin, items_.end(), not_ascending) == items_.end();
}

// A key that was written before is referred to, so that a list of alike dicts stays small.
void ValueEncoder::put_key(std::string_view key) {
  if (key.size() > kLongestSharedKeyBytes) {
    builder_->Key(key.data(), key.size());
    return;
  }
  KnownKey& known = known_keys_[key_hash(key) % kKnownKeys];
  if (known.encoding == encoding_ && known.text == key) {
    builder_->ReuseValue({known.offset, flexbuffers::FBT_KEY, flexbuffers::BIT_WIDTH_8});
  } else {
    known = {key, builder_->Key(key.data(), key.size()), encoding_};
  }
}

bool ValueEncoder::refuse(std::string what) {
  error_ = std::move(what);
  return false;
}

bool ValueEncoder::refuse_type(PyObject* value) {
  refused_type_ = pybind11::type::of(pybind11::handle(value));
  return false;
}

bool ValueEncoder::refuse_depth() {
  return refuse("nests deeper than " + std::to_string(kMaxDepth));
}

}  // namespace dspool::python
