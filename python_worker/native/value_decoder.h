// FlexBuffers to Python objects: null, bool, int, float, str, bytes, list, dict.
//
// Trust: the bytes come from the engine, which has verified them; they are read without further
// checks, apart from the bound on nesting and from text that is not UTF-8.
// Threads: the GIL.
#pragma once

#include <flatbuffers/flexbuffers.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "python_worker/native/key_cache.h"
#include "python_worker/native/views.h"

namespace dspool::python {

// Lists and dicts in each other, in either direction: what the engine's verifier accepts.
inline constexpr int kMaxDepth = 64;

// Of a FlexBuffer: a value, its type, its width.
inline constexpr std::size_t kSmallestValueBytes = 3;

class ValueDecoder {
 public:
  // New references, or null with a Python error set: ValueError (UnicodeDecodeError for text).
  // With `views`, bytes become memoryviews of theirs.
  [[nodiscard]] PyObject* decode(std::span<const std::uint8_t> bytes);
  [[nodiscard]] PyObject* decode(flexbuffers::Reference value, int depth = 1,
                                 Views* views = nullptr);
  [[nodiscard]] PyObject* key(std::string_view key) { return keys_.get(key); }

 private:
  PyObject* decode_map(const flexbuffers::Map& map, int depth, Views* views);
  template <typename Vector>
  PyObject* decode_list(const Vector& vector, int depth, Views* views);

  KeyCache keys_;
};

}  // namespace dspool::python
