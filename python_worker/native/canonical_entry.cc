#include "python_worker/native/canonical_entry.h"

#include <flatbuffers/flexbuffers.h>

#include <string>

#include "ipc/value_sequence.h"
#include "python_worker/native/stored_value.h"

namespace dspool::python {
namespace {

constexpr std::size_t kScalarBytes = 128;  // an object, and its place in a dict

// A text of which parts were appended: they end between characters, so their bytes make one text.
PyObject* decode_text(std::span<const UnreadFields::Bytes> pieces) {
  const auto add = [](std::string& text, std::span<const std::uint8_t> piece) {
    const auto part = flexbuffers::GetRoot(piece.data(), piece.size()).AsString();
    text.append(part.c_str(), part.size());
  };
  std::string text;
  add(text, pieces.front());
  for (const UnreadFields::Bytes& piece : pieces.subspan(1)) {
    ipc::ValueSequence appended(std::as_bytes(piece));
    while (const auto value = appended.next()) {
      add(text, {reinterpret_cast<const std::uint8_t*>(value->data()), value->size()});
    }
  }
  return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
}

}  // namespace

PyObject* read_entry(std::span<const UnreadFields::Bytes> pieces, ValueDecoder& decoder) {
  const UnreadFields::Bytes base = pieces.front();
  if (base.size() < kSmallestValueBytes) return decoder.decode(base);  // which says what is wrong
  const auto value = flexbuffers::GetRoot(base.data(), base.size());
  if (value.IsString()) return pieces.size() == 1 ? decoder.decode(value) : decode_text(pieces);
  const bool is_inline = flexbuffers::IsInline(value.GetType()) || value.IsNumeric();
  return is_inline ? decoder.decode(value) : make_stored_value(pieces, /*is_foreign=*/true);
}

PyObject* canonical_entry(PyObject* value, std::span<const std::uint8_t> encoding) {
  if (is_scalar(value)) return Py_NewRef(value);
  return make_stored_value({&encoding, 1}, /*is_foreign=*/false);
}

std::size_t counted_bytes(PyObject* entry) noexcept {
  if (entry == nullptr || entry == Py_Ellipsis) return 0;
  if (is_stored_value(entry)) return stored_value(entry).counted_bytes;
  if (!PyUnicode_CheckExact(entry)) return kScalarBytes;
  return kScalarBytes + static_cast<std::size_t>(PyUnicode_GET_LENGTH(entry)) *
                            static_cast<std::size_t>(PyUnicode_KIND(entry));
}

}  // namespace dspool::python
