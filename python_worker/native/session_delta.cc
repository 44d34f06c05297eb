#include "python_worker/native/session_delta.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <span>
#include <string_view>

#include "ipc/layout.h"

namespace dspool::python {
namespace {

// The bytes of a key that may leave this process: UTF-8 without NUL, as the encoder demands of the
// keys of a dict.
std::optional<std::string_view> sendable_text(PyObject* key) {
  Py_ssize_t length = 0;
  const char* text = PyUnicode_AsUTF8AndSize(key, &length);
  if (text == nullptr) {
    PyErr_Clear();
    return std::nullopt;
  }
  const std::string_view view(text, static_cast<std::size_t>(length));
  if (view.find('\0') != std::string_view::npos) return std::nullopt;
  return view;
}

// Whether a scalar is still what it was, to the bit.
bool is_same_scalar(PyObject* before, PyObject* now) {
  if (before == now) return before != Py_Ellipsis;
  if (Py_TYPE(before) != Py_TYPE(now)) return false;
  if (PyFloat_CheckExact(now)) {
    return std::bit_cast<std::uint64_t>(PyFloat_AS_DOUBLE(before)) ==
           std::bit_cast<std::uint64_t>(PyFloat_AS_DOUBLE(now));
  }
  return (PyUnicode_CheckExact(now) || PyLong_CheckExact(now)) &&
         PyObject_RichCompareBool(before, now, Py_EQ) == 1;
}

bool equals(PyObject* bytes, std::span<const std::uint8_t> encoding) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(PyBytes_AS_STRING(bytes));
  return std::equal(data, data + PyBytes_GET_SIZE(bytes), encoding.begin(), encoding.end());
}

}  // namespace

bool SessionDelta::collect(const SessionState& state, ValueEncoder& encoder) {
  changes_.clear();
  encodings_.clear();
  error_.clear();
  puts_ = 0;
  deletes_ = 0;
  Py_ssize_t position = 0;
  PyObject* key = nullptr;
  PyObject* before = nullptr;
  while (PyDict_Next(state.touched, &position, &key, &before)) {
    PyObject* now = PyDict_GetItemWithError(state.fields, key);
    if (now == nullptr && PyErr_Occurred()) return false;
    if (!compare(key, before, now, encoder)) return false;
  }
  return true;
}

bool SessionDelta::compare(PyObject* key, PyObject* before, PyObject* now, ValueEncoder& encoder) {
  Change& change = changes_.emplace_back();
  change.key = pybind11::reinterpret_borrow<pybind11::object>(key);
  if (now == nullptr && before == Py_Ellipsis) return true;
  if (now != nullptr && is_same_scalar(before, now)) {
    change.entry = pybind11::reinterpret_borrow<pybind11::object>(before);
    return true;
  }

  const std::optional<std::string_view> text = sendable_text(key);
  if (!text) {
    error_ = "session has a key with a NUL character or a lone surrogate: use other keys";
    return false;
  }
  if (now == nullptr) {
    change.kind = Kind::kDelete;
    ++deletes_;
    return true;
  }
  if (!encoder.encode(now)) {
    error_ = encoder.error("session[\"" + std::string(*text) + "\"]");
    return false;
  }
  const std::span<const std::uint8_t> encoding = encoder.bytes();
  if (PyBytes_CheckExact(before) && equals(before, encoding)) {
    change.entry = pybind11::reinterpret_borrow<pybind11::object>(before);
    return true;
  }
  change.kind = Kind::kPut;
  change.offset = encodings_.size();
  change.length = encoding.size();
  encodings_.insert(encodings_.end(), encoding.begin(), encoding.end());
  change.entry = pybind11::reinterpret_steal<pybind11::object>(canonical_entry(now, encoding));
  ++puts_;
  return static_cast<bool>(change.entry);
}

flatbuffers::Offset<wire::Delta> SessionDelta::write(
    flatbuffers::FlatBufferBuilder& builder) const {
  std::vector<flatbuffers::Offset<wire::Field>> puts;
  std::vector<flatbuffers::Offset<flatbuffers::String>> deletes;
  for (const Change& change : changes_) {
    if (change.kind == Kind::kSame) continue;
    const std::string_view text = *sendable_text(change.key.ptr());
    if (change.kind == Kind::kDelete) {
      deletes.push_back(builder.CreateString(text.data(), text.size()));
      continue;
    }
    builder.ForceVectorAlignment(change.length, sizeof(std::uint8_t), ipc::kValueAlignment);
    const auto value = builder.CreateVector(encodings_.data() + change.offset, change.length);
    puts.push_back(
        wire::CreateField(builder, builder.CreateString(text.data(), text.size()), value));
  }
  const auto sorted_puts = puts.empty() ? 0 : builder.CreateVectorOfSortedTables(&puts);
  const auto all_deletes = deletes.empty() ? 0 : builder.CreateVector(deletes);
  return wire::CreateDelta(builder, sorted_puts, all_deletes);
}

bool SessionDelta::settle(SessionState& state) {
  for (const Change& change : changes_) {
    if (!change.entry) continue;
    if (PyDict_SetItem(state.fields, change.key.ptr(), change.entry.ptr()) < 0) return false;
  }
  PyDict_Clear(state.touched);
  changes_.clear();
  return true;
}

}  // namespace dspool::python
