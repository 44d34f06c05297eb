// Python objects to FlexBuffers: None, bool, int, float, str, bytes, list, tuple (as a list) and
// dict with str keys. Everything else, and whatever the engine's verifier would refuse, is an error
// that names the place, and what to use instead: `result.answers[3].model is a set: use ...`.
//
// Invariant: equal values have equal bytes, whatever order a dict was filled in and in whichever
// process: what a session notices as a change rests on this.
//
// Threads: the GIL, which is not given up while a value is encoded: no Python code runs.
#pragma once

#include <flatbuffers/flexbuffers.h>
#include <pybind11/pybind11.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dspool::python {

class ValueEncoder {
 public:
  // Encodes `value` into `bytes()`. False: it cannot be encoded, and `error` says why.
  [[nodiscard]] bool encode(PyObject* value);
  // The same of a list of items [first, last) of a list or a tuple.
  [[nodiscard]] bool encode_items(PyObject* sequence, Py_ssize_t first, Py_ssize_t last);

  // The last value encoded, until the next one is.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return builder_->GetBuffer(); }

  // What could not be encoded, by its way from the value that is called `root`. Runs Python code.
  [[nodiscard]] std::string error(std::string_view root) const;

 private:
  struct Item {  // of a dict; alive as long as the dict, which nobody changes meanwhile
    std::string_view key;
    PyObject* value;
  };
  struct KnownKey {  // a key that this value has already written
    std::string_view text;
    std::uint64_t offset;
    std::uint64_t encoding;
  };
  static constexpr std::size_t kKnownKeys = 256;  // a power of two

  void begin();
  void finish();
  bool put(PyObject* value, int depth);
  bool put_int(PyObject* value);
  bool put_text(PyObject* value);
  bool put_buffer(PyObject* value);
  bool put_items(PyObject* sequence, Py_ssize_t first, Py_ssize_t last, int depth);
  bool put_dict(PyObject* value, int depth);
  void put_key(std::string_view key);
  bool take_items(PyObject* dict);
  bool sort_items(std::size_t first);
  bool refuse(std::string what);
  bool refuse_type(PyObject* value);
  bool refuse_depth();

  std::optional<flexbuffers::Builder> builder_;  // made anew after a long value
  std::size_t last_bytes_ = 0;
  std::vector<Item> items_;  // of the dicts being encoded, the innermost last
  std::array<KnownKey, kKnownKeys> known_keys_{};
  std::uint64_t encoding_ = 0;  // counts encodings; tells old entries of known_keys_ from new ones
  std::vector<std::string> path_;  // of an error, the innermost step first
  std::string error_;
  pybind11::object refused_type_;  // of what is no value; none: `error_` says what is wrong
};

}  // namespace dspool::python
