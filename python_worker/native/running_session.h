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
      : outer_(std::exchange(of_thread(), session.ptr())) {}
  ~RunningSession() { of_thread() = outer_; }
  RunningSession(const RunningSession&) = delete;
  RunningSession& operator=(const RunningSession&) = delete;

  // None: this thread runs no command.
  static pybind11::object current() {
    PyObject* const session = of_thread();
    return pybind11::reinterpret_borrow<pybind11::object>(session == nullptr ? Py_None : session);
  }

 private:
  static PyObject*& of_thread() noexcept {
    thread_local PyObject* session = nullptr;
    return session;
  }

  PyObject* outer_;
};

}  // namespace dspool::python
