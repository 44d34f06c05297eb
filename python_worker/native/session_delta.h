// What one command changed in its session. Found by comparing every key that it touched with what
// the key held before (field_comparison.h), so that a value that was only read, or changed back,
// counts as unchanged. For a list that has only grown the comparison takes as long as what was
// added.
//
// Lifetime: collect -> write (if not empty) -> settle. Instead of settling, the session can be
// rolled back (session_fields.h). From `collect` on, nobody may use the session's values.
#pragma once

#include <flatbuffers/flatbuffers.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "python_worker/native/field_comparison.h"
#include "python_worker/native/session_state.h"
#include "python_worker/native/value_encoder.h"
#include "schemas/envelope_generated.h"

namespace dspool::python {

class SessionDelta {
 public:
  // False: a field cannot be encoded, and `error` says which; or a Python error is set.
  [[nodiscard]] bool collect(const SessionState& state, ValueEncoder& encoder);
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  // Of what changed, encoded.
  [[nodiscard]] std::size_t bytes() const noexcept { return encodings_.size(); }

  // REQUIRES: not empty.
  [[nodiscard]] flatbuffers::Offset<wire::Delta> write(
      flatbuffers::FlatBufferBuilder& builder) const;

  // Brings the fields back to canonical entries, changed or not. False: a Python error is set.
  [[nodiscard]] bool settle(SessionState& state);

 private:
  enum class Kind { kSame, kPut, kDelete, kAppend };
  struct Change {
    pybind11::object key;
    pybind11::object before;
    pybind11::object entry;  // canonical; null where the key is gone
    std::size_t offset = 0;  // of a put's or an append's encoding in `encodings_`
    std::size_t length = 0;
    Kind kind = Kind::kSame;
    bool keeps_list = false;  // the list that was lent stays as it is, decoded
  };

  bool compare(PyObject* key, PyObject* before, PyObject* now, FieldComparison& comparison,
               ValueEncoder& encoder);
  bool take(Change& change, Outcome outcome, PyObject* now, ValueEncoder& encoder);
  bool refuse(PyObject* key, const ValueEncoder* encoder);
  [[nodiscard]] std::span<const std::uint8_t> encoding(const Change& change) const noexcept;
  void settle_stored(const Change& change, SessionState& state) const;

  std::vector<Change> changes_;
  std::vector<std::uint8_t> encodings_;
  std::size_t count_ = 0;  // of changes that are not kSame
  std::string error_;
};

}  // namespace dspool::python
