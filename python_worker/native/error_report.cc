#include "python_worker/native/error_report.h"

namespace dspool::python {

ErrorReport ErrorReport::from_python(const pybind11::object& report) {
  const auto text = [&](const char* name) {
    return pybind11::cast<std::string>(report.attr(name));
  };
  return {.category = text("category"),
          .code = text("code"),
          .message = text("message"),
          .exception_type = text("exception_type"),
          .traceback = text("traceback"),
          .retryable = pybind11::cast<bool>(report.attr("retryable")),
          .provider = text("provider"),
          .retry_after_ms = pybind11::cast<std::uint32_t>(report.attr("retry_after_ms"))};
}

flatbuffers::Offset<wire::ErrorReport> ErrorReport::write(
    flatbuffers::FlatBufferBuilder& builder) const {
  const auto optional = [&](const std::string& text) {
    return text.empty() ? 0 : builder.CreateString(text);
  };
  return wire::CreateErrorReport(builder, builder.CreateString(category),
                                 builder.CreateString(code), builder.CreateString(message),
                                 optional(exception_type), optional(traceback), retryable,
                                 optional(provider), retry_after_ms);
}

pybind11::object take_exception() {
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) PyException_SetTraceback(value, traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return pybind11::reinterpret_steal<pybind11::object>(value);
}

}  // namespace dspool::python
