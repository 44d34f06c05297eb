// What one command changed in its session. Found by comparing every key that it touched with what
// the key held before, so that a value that was only read, or changed back, counts as unchanged.
//
// Lifetime: collect -> write (if not empty) -> settle. Instead of settling, the session can be
// rolled back (session_state.h).
#pragma once

#include <flatbuffers/flatbuffers.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "python_worker/native/session_state.h"
#include "python_worker/native/value_encoder.h"
#include "schemas/envelope_generated.h"

namespace dspool::python {

class SessionDelta {
 public:
  // False: a field cannot be encoded, and `error` says which; or a Python error is set.
  [[nodiscard]] bool collect(const SessionState& state, ValueEncoder& encoder);
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

  [[nodiscard]] bool empty() const noexcept { return puts_ == 0 && deletes_ == 0; }

  // REQUIRES: not empty.
  [[nodiscard]] flatbuffers::Offset<wire::Delta> write(
      flatbuffers::FlatBufferBuilder& builder) const;

  // Brings the fields back to canonical entries, changed or not. False: a Python error is set.
  [[nodiscard]] bool settle(SessionState& state);

 private:
  enum class Kind { kSame, kPut, kDelete };
  struct Change {
    pybind11::object key;
    pybind11::object entry;  // canonical; null where the key is gone
    std::size_t offset = 0;  // of a put's encoding in `encodings_`
    std::size_t length = 0;
    Kind kind = Kind::kSame;
  };

  bool compare(PyObject* key, PyObject* before, PyObject* now, ValueEncoder& encoder);

  std::vector<Change> changes_;
  std::vector<std::uint8_t> encodings_;
  std::size_t puts_ = 0;
  std::size_t deletes_ = 0;
  std::string error_;
};

}  // namespace dspool::python
