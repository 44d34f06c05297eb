// The session whose command the calling thread runs, for who is asked meanwhile and is not handed
// it: a log record. One per thread, as records are made on the command's own stack.
//
// Threads: the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <utility>

namespace dspool::python {

class RunningSession {
 public:
  // For as long as this lives. REQUIRES: `session` lives longer.
  explicit RunningSession(const pybind11::object& session) noexcept
      : outer_(std::exchange(current_, session.ptr())) {}
  ~RunningSession() { current_ = outer_; }
  RunningSession(const RunningSession&) = delete;
  RunningSession& operator=(const RunningSession&) = delete;

  // None: this thread runs no command.
  static pybind11::object current() {
    return pybind11::reinterpret_borrow<pybind11::object>(current_ == nullptr ? Py_None : current_);
  }

 private:
  static inline thread_local PyObject* current_ = nullptr;

  PyObject* outer_;
};

}  // namespace dspool::python
