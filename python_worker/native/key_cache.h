// The same few map keys come with every call: this remembers their Python strings, interned, so
// that a key costs a comparison instead of an allocation, and Python finds keyword arguments by
// identity. A direct-mapped table: a collision costs a new string, never a wrong one.
//
// Threads: the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <cstddef>
#include <string_view>

namespace dspool::python {

class KeyCache {
 public:
  // The Python string of `key`: a new reference, or null with a Python error set (not UTF-8).
  [[nodiscard]] PyObject* get(std::string_view key);

 private:
  static constexpr std::size_t kSlots = 512;           // a power of two
  static constexpr std::size_t kLongestKeyBytes = 64;  // longer keys are not remembered

  struct Slot {
    std::string_view text;  // points into `string`
    pybind11::object string;
  };
  std::array<Slot, kSlots> slots_;
};

}  // namespace dspool::python
