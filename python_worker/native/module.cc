// The extension dspool_worker._native: what _native.pyi says, and nothing else.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ipc/fork_socket.h"
#include "python_worker/native/call_type.h"
#include "python_worker/native/error_report.h"
#include "python_worker/native/fork_messages.h"
#include "python_worker/native/gil.h"
#include "python_worker/native/process_name.h"
#include "python_worker/native/request_loop.h"
#include "python_worker/native/running_session.h"
#include "python_worker/native/session_state.h"
#include "python_worker/native/session_trial.h"
#include "python_worker/native/startup.h"
#include "python_worker/native/value_decoder.h"
#include "python_worker/native/value_encoder.h"

namespace py = pybind11;

namespace dspool::python {
namespace {

template <typename T>
T value_or_throw(ipc::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().what);
  return std::move(*result);
}

std::unique_ptr<ipc::WorkerChannel> attach_channel(std::optional<std::int64_t> spin_us) {
  std::optional<std::chrono::nanoseconds> spin_limit;
  if (spin_us) spin_limit = std::chrono::microseconds(*spin_us);
  return value_or_throw(attach(spin_limit));
}

void keep_private_or_throw() {
  if (const auto kept = keep_private(); !kept) throw std::runtime_error(kept.error().what);
}

Hello hello(ipc::WorkerChannel& channel) {
  const GilRelease no_gil;
  return value_or_throw(receive_hello(channel));
}

py::object add_encode_error(py::module_& module) {
  auto type = py::reinterpret_steal<py::object>(PyErr_NewExceptionWithDoc(
      "dspool_worker._native.EncodeError", "Something is no value.", PyExc_TypeError, nullptr));
  if (!type) throw py::error_already_set();
  module.attr("EncodeError") = type;
  return type;
}

py::bytes encode(const py::object& value, const std::string& root, const py::object& error) {
  ValueEncoder encoder;
  if (!encoder.encode(value.ptr())) {
    PyErr_SetString(error.ptr(), encoder.error(root).c_str());
    throw py::error_already_set();
  }
  const auto bytes = encoder.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

py::object decode(const py::bytes& bytes) {
  const std::string_view view(bytes);
  ValueDecoder decoder;
  PyObject* value =
      decoder.decode({reinterpret_cast<const std::uint8_t*>(view.data()), view.size()});
  if (value == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(value);
}

void check_session(const py::object& session, const py::object& type) {
  if (!py::isinstance(session, type)) throw py::type_error("this is no session");
}

void fail(ipc::WorkerChannel& channel, const py::object& report) {
  send_failure(channel, ErrorReport::from_python(report));
}

std::string_view bytes_of(const py::bytes& bytes) { return bytes; }

void add_fork_messages(py::module_& module) {
  module.def(
      "fork_socket", [] { return ipc::kForkSocketNumber; },
      "The number of a fork server's socket to its engine.");
  module.def(
      "channel_descriptors",
      [] {
        std::vector<int> numbers(ipc::kForkSocketNumber - ipc::kFirstChannelNumber);
        std::iota(numbers.begin(), numbers.end(), ipc::kFirstChannelNumber);
        return numbers;
      },
      "The numbers that the descriptors of a worker's channel have.");
  module.def(
      "read_fork_order",
      [](const py::bytes& order) {
        ForkOrder read = read_fork_order(bytes_of(order));
        return std::make_pair(read.epoch, std::move(read.numbers));
      },
      py::arg("order"), py::pos_only(),
      "The worker's epoch, and what the descriptors become that came along.");
  module.def(
      "fork_ready", [] { return py::bytes(fork_ready()); }, "Says that workers can be ordered.");
  module.def(
      "fork_done", [](std::uint64_t epoch) { return py::bytes(fork_done(epoch)); },
      py::arg("epoch"), py::pos_only(), "Says that a worker was forked; goes with its pidfd.");
  module.def(
      "fork_failed",
      [](std::uint64_t epoch, const py::object& report) {
        return py::bytes(fork_failed(epoch, ErrorReport::from_python(report)));
      },
      py::arg("epoch"), py::arg("report"), py::pos_only(),
      "Says why there is no worker; of epoch 0, why there will never be one.");
  module.def(
      "fork_ended",
      [](std::uint64_t epoch, bool signalled, int code) {
        return py::bytes(fork_ended(epoch, signalled, code));
      },
      py::arg("epoch"), py::arg("signalled"), py::arg("code"), py::pos_only(),
      "Says how a worker ended; `code` is below 0 where nobody can tell.");
  module.def("rename_process", &rename_process, py::arg("arguments"), py::pos_only(),
             "Makes these the arguments that others see of this process, as far as there is room.");
}

}  // namespace

PYBIND11_MODULE(_native, module) {
  module.doc() = "The native side of a dspool worker: its channel, its loop, its values.";

  const py::object encode_error = add_encode_error(module);
  module.def(
      "encode",
      [encode_error](const py::object& value, const std::string& root) {
        return encode(value, root, encode_error);
      },
      py::arg("value"), py::arg("root") = "value", py::pos_only(),
      "The FlexBuffer of a value. EncodeError names what cannot be encoded, as part of `root`.");
  module.def("decode", &decode, py::arg("encoded"), py::pos_only(),
             "The value of a FlexBuffer that the engine has verified.");
  add_fork_messages(module);
  add_session_state_type(module);
  add_call_type(module);
  const py::object session_type = module.attr("SessionState");
  module.def(
      "run",
      [session_type, encode_error](const py::object& command, const py::object& session,
                                   const py::bytes& args, std::uint64_t deadline_ns) {
        check_session(session, session_type);
        return run_trial(command, session, args, deadline_ns, encode_error);
      },
      py::arg("command"), py::arg("session"), py::arg("args"), py::arg("deadline_ns"),
      py::pos_only(),
      "Runs a command on a session that a test made, as a worker does: from encoded arguments to "
      "the encoded result. EncodeError without a traceback: the result is no value.");
  module.def(
      "commit",
      [session_type, encode_error](const py::object& session) {
        check_session(session, session_type);
        return commit_trial(session, encode_error);
      },
      py::arg("session"), py::pos_only(),
      "What was changed in a session that a test made, as a worker would tell the engine: puts, "
      "deletes, appends. Ends the command; the next one finds the session warm. EncodeError: a "
      "field is no value.");
  module.def(
      "roll_back",
      [session_type](const py::object& session) {
        check_session(session, session_type);
        roll_back_trial(session);
      },
      py::arg("session"), py::pos_only(),
      "Ends a command on a session that a test made as if it had raised.");
  module.def("running_session", &RunningSession::current,
             "The session whose command this thread runs, or None.");

  module.def("keep_private", &keep_private_or_throw,
             "Closes core dumps, /proc and ptrace of this process, and of all that it forks, to "
             "others of the same user. RuntimeError: the system refuses.");
  module.def("protocol_version", &protocol_version,
             "The protocol that this package speaks with an engine.");

  py::class_<Hello>(module, "Hello", "What the engine said first.")
      .def_readonly("max_in_flight", &Hello::max_in_flight)
      .def_readonly("session_cache", &Hello::session_cache)
      .def_readonly("session_cache_bytes", &Hello::session_cache_bytes)
      .def_readonly("protocol", &Hello::protocol);

  py::class_<ipc::WorkerChannel>(module, "Channel", "The worker's end of its channel.")
      .def(py::init(&attach_channel), py::arg("spin_us") = py::none(),
           "Attaches to the descriptors that the engine left. RuntimeError: there are none.")
      .def("hello", &hello, "Waits for the engine's first record.")
      .def("ready", &send_ready, py::arg("python"), py::arg("commands"),
           "Says that commands may come.")
      .def("fail", &fail, py::arg("report"), "Says why none will.");

  py::class_<RequestLoop>(module, "RequestLoop", "Executes what the engine sends.")
      .def(py::init<ipc::WorkerChannel&, py::object, py::object, const py::dict&, const Hello&>(),
           py::arg("channel"), py::arg("host"), py::arg("session_type"), py::arg("commands"),
           py::arg("hello"), py::keep_alive<1, 2>())
      .def("serve", &RequestLoop::serve,
           "Returns True when told to drain, False when the engine is gone. To be called on each "
           "of max_in_flight threads.");
}

}  // namespace dspool::python
