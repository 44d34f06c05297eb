#include "python_worker/native/field_comparison.h"

#include <flatbuffers/flexbuffers.h>

#include <algorithm>
#include <bit>

#include "python_worker/native/session_list.h"

namespace dspool::python {
namespace {

// A shorter text is sent again as a whole: what is appended has to be put together some day.
constexpr Py_ssize_t kShortestGrownText = 64;

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

bool has_grown(PyObject* before, PyObject* now) {
  return PyUnicode_CheckExact(before) && PyUnicode_CheckExact(now) &&
         PyUnicode_GET_LENGTH(before) >= kShortestGrownText &&
         PyUnicode_GET_LENGTH(before) < PyUnicode_GET_LENGTH(now) &&
         PyUnicode_Tailmatch(now, before, 0, PyUnicode_GET_LENGTH(now), /*direction=*/-1) == 1;
}

Py_ssize_t list_size(Encoding::Bytes piece) {
  const auto list = flexbuffers::GetRoot(piece.data(), piece.size());
  std::size_t size = 0;
  if (list.IsUntypedVector()) {
    size = list.AsVector().size();
  } else if (list.IsTypedVector()) {
    size = list.AsTypedVector().size();
  } else {
    size = list.AsFixedTypedVector().size();
  }
  return static_cast<Py_ssize_t>(size);
}

}  // namespace

Outcome FieldComparison::compare(PyObject* before, PyObject* now) {
  if (is_same_scalar(before, now)) return Outcome::kSame;
  if (has_grown(before, now)) return compare_text(before, now);
  return encode(now);
}

Outcome FieldComparison::compare_text(PyObject* before, PyObject* now) {
  const auto added = pybind11::reinterpret_steal<pybind11::object>(
      PyUnicode_Substring(now, PyUnicode_GET_LENGTH(before), PyUnicode_GET_LENGTH(now)));
  if (!added) return Outcome::kFailed;
  return encoder_.encode(added.ptr()) ? Outcome::kGrown : Outcome::kRefused;
}

Outcome FieldComparison::compare(const StoredValue& before, PyObject* now) {
  if (before.lent == now && has_only_grown(session_list(now))) {
    return encode_growth(now, session_list(now).stored);
  }
  const bool is_list = PyList_Check(now) || PyTuple_Check(now);
  if (is_list && before.encoding.is_list()) return compare_list(before.encoding, now);
  const Outcome encoded = encode(now);
  if (encoded != Outcome::kChanged) return encoded;
  return match(before.encoding, before.encoding.base());
}

Outcome FieldComparison::compare_list(const Encoding& before, PyObject* now) {
  Py_ssize_t compared = 0;
  Outcome outcome = Outcome::kSame;
  before.each([&](Encoding::Bytes piece) {
    const Py_ssize_t end = compared + list_size(piece);
    if (end > PySequence_Fast_GET_SIZE(now)) {
      outcome = Outcome::kChanged;
    } else if (!encoder_.encode_items(now, compared, end)) {
      outcome = Outcome::kRefused;
    } else {
      outcome = match(before, piece);
    }
    compared = end;
    return outcome == Outcome::kSame;
  });
  if (outcome == Outcome::kChanged) return encode(now);
  return outcome == Outcome::kSame ? encode_growth(now, compared) : outcome;
}

Outcome FieldComparison::encode(PyObject* now) {
  return encoder_.encode(now) ? Outcome::kChanged : Outcome::kRefused;
}

Outcome FieldComparison::encode_growth(PyObject* list, Py_ssize_t first) {
  const Py_ssize_t size = PySequence_Fast_GET_SIZE(list);
  if (first == size) return Outcome::kSame;
  return encoder_.encode_items(list, first, size) ? Outcome::kGrown : Outcome::kRefused;
}

// Whether what was encoded last is what a piece holds.
Outcome FieldComparison::match(const Encoding& before, Encoding::Bytes piece) {
  const Encoding::Bytes now = encoder_.bytes();
  if (std::ranges::equal(now, piece)) return Outcome::kSame;
  if (!before.is_foreign()) return Outcome::kChanged;
  const auto value = pybind11::reinterpret_steal<pybind11::object>(decoder_.decode(piece));
  if (!value) return Outcome::kFailed;
  ValueEncoder again;
  return again.encode(value.ptr()) && std::ranges::equal(now, again.bytes()) ? Outcome::kSame
                                                                             : Outcome::kChanged;
}

}  // namespace dspool::python
