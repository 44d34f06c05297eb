// What has become of a field: its value now, against what the session keeps of it from before.
//
// A list is compared piece by piece with what was encoded, so that it is seen whether it has only
// grown. A value has one encoding (value_encoder.h), but others may have written what is kept;
// where bytes differ, that is therefore decoded and encoded again before the value counts as
// changed.
//
// Threads: the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include "python_worker/native/stored_value.h"
#include "python_worker/native/value_decoder.h"
#include "python_worker/native/value_encoder.h"

namespace dspool::python {

enum class Outcome {
  kSame,
  kGrown,    // the encoder has what was appended: a list of items, or a text
  kChanged,  // the encoder has the value
  kRefused,  // it cannot be encoded; the encoder has the error
  kFailed,   // a Python error is set
};

class FieldComparison {
 public:
  FieldComparison(ValueEncoder& encoder, ValueDecoder& decoder) noexcept
      : encoder_(encoder), decoder_(decoder) {}

  [[nodiscard]] Outcome compare(const StoredValue& before, PyObject* now);
  // Of a scalar, or of nothing (Ellipsis).
  [[nodiscard]] Outcome compare(PyObject* before, PyObject* now);

 private:
  Outcome compare_list(const Encoding& before, PyObject* now);
  Outcome compare_text(PyObject* before, PyObject* now);
  Outcome encode(PyObject* now);
  Outcome encode_growth(PyObject* list, Py_ssize_t first);
  Outcome match(const Encoding& before, Encoding::Bytes piece);

  ValueEncoder& encoder_;
  ValueDecoder& decoder_;
};

}  // namespace dspool::python
