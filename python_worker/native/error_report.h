// An error on its way to the engine; wire::ErrorReport with Python's help.
#pragma once

#include <flatbuffers/flatbuffers.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "schemas/envelope_generated.h"

namespace dspool::python {

struct ErrorReport {
  std::string category;
  std::string code;
  std::string message;
  std::string exception_type = {};
  std::string traceback = {};
  bool retryable = false;
  std::string provider = {};
  std::uint32_t retry_after_ms = 0;  // 0: nobody has said

  // From dspool_worker.errors.ErrorReport, the same as a named tuple.
  static ErrorReport from_python(const pybind11::object& report);

  [[nodiscard]] flatbuffers::Offset<wire::ErrorReport> write(
      flatbuffers::FlatBufferBuilder& builder) const;
};

// Takes the Python error that is set; its traceback begins at the adapter's frame.
[[nodiscard]] pybind11::object take_exception();

}  // namespace dspool::python
