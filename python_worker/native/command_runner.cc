#include "python_worker/native/command_runner.h"

#include <string>
#include <utility>

#include "python_worker/native/monotonic_clock.h"
#include "python_worker/native/session_fields.h"

namespace dspool::python {
namespace {

ErrorReport python_error(std::string code, std::string message) {
  return {.category = "python",
          .code = std::move(code),
          .message = std::move(message),
          .exception_type = {},
          .traceback = {}};
}

ErrorReport no_payload(const ipc::Fault& fault) {
  return {.category = "resource_error",
          .code = "no_payload_memory",
          .message = "the worker cannot reach a value that lies outside the ring: " + fault.what,
          .exception_type = {},
          .traceback = {}};
}

// A report that the host makes; if that fails too, one that says so.
template <typename Make>
ErrorReport report_of(const Make& make) {
  try {
    return ErrorReport::from_python(make());
  } catch (const pybind11::error_already_set&) {
    return python_error("exception", "an exception was raised that could not be described");
  }
}

}  // namespace

// ---- prepare ----

void CommandRunner::prepare(const ipc::Record& record) {
  const auto& request = *flatbuffers::GetRoot<wire::Request>(record.body.data());
  ticket_ = {.request_id = record.header.request_id, .attempt = request.attempt()};
  version_ = {request.version(), request.state_id()};
  lm_version_ = request.lm_version();
  need_state_ = false;
  refusal_.reset();
  hydration_start_ns_ = 0;
  recalled_ = !worker_.channel.claim();
  const LongValue long_args(worker_.channel, worker_.inbox, request.args_at());
  std::optional<Fields> fields;  // read in any case, so that nothing of what came along is left
  if (request.state() != nullptr || request.state_at() != nullptr) {
    hydration_start_ns_ = now_ns();
    fields = read_state(request);
  }
  // Its caller was told that it has ended, so it must not begin.
  ended_ = worker_.channel.attention(request.place()).cancelled ||
           (request.deadline_ns() != 0 && request.deadline_ns() <= now_ns());
  if (recalled_ || ended_) return;

  const std::string_view name = request.command()->string_view();
  adopts_ = name.empty() && request.session()->size() != 0;
  if (adopts_) {
    take_session(request, std::move(fields));
    return;
  }
  Command* command = worker_.commands.find(name);
  command_ = command;
  if (command == nullptr) {
    refusal_ = report_of([&] {
      return worker_.host.attr("unknown_command")(pybind11::bytes(name.data(), name.size()));
    });
    return;
  }
  if (!take_session(request, std::move(fields))) return;
  if (hydration_start_ns_ != 0) ticket_.hydration_ns = now_ns() - hydration_start_ns_;
  session_state(session()).deadline_ns = request.deadline_ns();
  terms_ = {.request_id = ticket_.request_id,
            .attempt = ticket_.attempt,
            .place = request.place(),
            .streams = request.streams(),
            .deadline_ns = request.deadline_ns()};
  decode_arguments(request, long_args, *command);
}

void CommandRunner::decode_arguments(const wire::Request& request, const LongValue& long_args,
                                     Command& command) {
  std::span<const std::uint8_t> bytes;
  std::shared_ptr<ipc::PayloadView> payload;
  if (long_args) {
    auto mapped = long_args.map();
    if (!mapped) {
      refusal_ = no_payload(mapped.error());
      return;
    }
    payload = std::move(*mapped);
    bytes = bytes_of(*payload);
    if (command.takes_views) views_.begin(payload);
  } else {
    bytes = {request.args()->data(), request.args()->size()};
  }
  const auto args = flexbuffers::GetRoot(bytes.data(), bytes.size());
  if (!arguments_.decode(args, command, *worker_.decoder, views_)) refuse_arguments();
}

CommandRunner::Fields CommandRunner::read_state(const wire::Request& request) {
  if (request.state() != nullptr) return worker_.state_reader.read(*request.state());
  const LongValue long_state(worker_.channel, worker_.inbox, request.state_at());
  const auto payload = long_state.map();
  if (!payload) return tl::unexpected(payload.error());
  return worker_.state_reader.read(
      *flatbuffers::GetRoot<wire::SessionState>((*payload)->bytes().data()));
}

bool CommandRunner::take_session(const wire::Request& request, std::optional<Fields> fields) {
  const std::string_view id = request.session()->string_view();
  if (id.empty()) {
    if (!anonymous_) anonymous_ = make_session(id);
    return true;
  }
  lease_ = worker_.sessions.find(id, version_);
  if (lease_) return true;

  need_state_ = !fields && version_ != SessionVersion{};
  if (need_state_) return false;
  if (fields && !*fields) {
    refusal_ = no_payload(fields->error());
    return false;
  }
  lease_ = worker_.sessions.claim(id);
  if (lease_) {
    worker_.state_reader.recycle(clear_fields(session_state(session())));
  } else {
    lease_ = worker_.sessions.insert(id, make_session(id));
  }
  if (fields) load_fields(session_state(session()), std::move(**fields));
  return true;
}

// A session's id may be any bytes; those that are not UTF-8 become lone surrogates.
pybind11::object CommandRunner::make_session(std::string_view id) const {
  const auto text = pybind11::reinterpret_steal<pybind11::object>(
      PyUnicode_DecodeUTF8(id.data(), static_cast<Py_ssize_t>(id.size()), "surrogateescape"));
  if (!text) throw pybind11::error_already_set();
  pybind11::object made = worker_.session_type(text);
  SessionState& state = session_state(made);
  state.decoder = worker_.decoder;
  state.open = false;
  return made;
}

void CommandRunner::refuse_arguments() {
  const pybind11::object error = take_exception();
  refusal_ = python_error("invalid_arguments",
                          "the arguments cannot be decoded: " + std::string(pybind11::str(error)));
}

// ---- run ----

bool CommandRunner::run() {
  if (recalled_) return writer_.recalled(ticket_) != ResponseWriter::Sent::kEngineGone;
  if (ended_) return writer_.cancelled(ticket_) != ResponseWriter::Sent::kEngineGone;
  if (need_state_) return writer_.need_state(ticket_) != ResponseWriter::Sent::kEngineGone;
  if (adopts_) return refusal_ ? fail(*refusal_, 0) : adopt();
  const HeldModel* const model = worker_.language_models.require(lm_version_);
  if (model == nullptr) return false;
  if (!refusal_ && model->refusal) refusal_ = model->refusal;
  if (refusal_) return fail(*refusal_, 0);

  SessionState& state = session_state(session());
  begin_call(state, *model);
  state.open = true;
  state.reading_ns = 0;
  const std::uint64_t start_ns = now_ns();
  const auto result =
      pybind11::reinterpret_steal<pybind11::object>(arguments_.call(*command_, session()));
  const std::uint64_t service_ns = now_ns() - start_ns;
  state.open = false;
  // Whoever raises it for reasons of its own has failed.
  const bool gave_up = !result && PyErr_ExceptionMatches(worker_.cancelled_error.ptr()) != 0 &&
                       live_call(call_).is_cancelled();
  end_call(state);
  if (hydration_start_ns_ != 0) ticket_.hydration_ns += state.reading_ns;
  if (gave_up) return give_up(service_ns);
  return result ? answer(result, service_ns) : fail(describe_exception(), service_ns);
}

// ---- the call at hand ----

pybind11::object CommandRunner::make_call() const {
  return python::make_call(worker_.channel, worker_.max_payload_bytes, worker_.cancelled_error);
}

void CommandRunner::begin_call(SessionState& state, const HeldModel& model) const {
  live_call(call_).begin(terms_);
  live_call(call_).set_language_model(model.model);
  Py_XSETREF(state.call, Py_NewRef(call_.ptr()));
}

// Whoever has kept it keeps one that has ended.
void CommandRunner::end_call(SessionState& state) {
  live_call(call_).end();
  ticket_.usage = live_call(call_).usage();
  live_call(call_).set_language_model(pybind11::none());  // which may be forgotten now
  Py_XSETREF(state.call, Py_NewRef(Py_None));
  if (call_.ref_count() > 1) call_ = make_call();
}

// ---- answer ----

// Keeps the session that came along, for a call that may follow.
bool CommandRunner::adopt() {
  if (!encoder_.encode(Py_None)) return fail(describe_exception(), 0);
  ticket_.is_not_kept = lease_ && !can_keep_session(0);
  const ResponseWriter::Sent sent = writer_.answer(ticket_, encoder_.bytes(), nullptr, 0);
  restore_session();
  return sent != ResponseWriter::Sent::kEngineGone;
}

bool CommandRunner::answer(pybind11::object result, std::uint64_t service_ns) {
  if (!encoder_.encode(result.ptr())) {
    return fail(python_error("unserialisable_result", encoder_.error("result")), service_ns);
  }
  result = {};  // so that of what is the session's only that is still held which somebody keeps
  const bool touched = lease_ && session_is_touched();
  if (touched && !delta_.collect(session_state(session()), field_encoder_)) {
    return fail(PyErr_Occurred() != nullptr ? describe_exception()
                                            : python_error("unserialisable_field", delta_.error()),
                service_ns);
  }

  views_.end();
  const bool changed = touched && !delta_.empty();
  ticket_.is_not_kept = lease_ && !can_keep_session(changed ? delta_.bytes() : 0);
  const ResponseWriter::Sent sent =
      writer_.answer(ticket_, encoder_.bytes(), changed ? &delta_ : nullptr, service_ns);
  if (sent != ResponseWriter::Sent::kSent || ticket_.is_not_kept) {
    restore_session();
  } else if (touched && !delta_.settle(session_state(session()))) {
    PyErr_Clear();
    lease_.drop();
  } else {
    keep_session(changed ? SessionVersion{version_.version + 1, ticket_.request_id} : version_);
  }
  arguments_.clear();
  return sent != ResponseWriter::Sent::kEngineGone;
}

bool CommandRunner::fail(const ErrorReport& report, std::uint64_t service_ns) {
  views_.end();
  ticket_.is_not_kept = lease_ && !can_keep_session(0);
  const ResponseWriter::Sent sent = writer_.error(ticket_, report, service_ns);
  restore_session();
  arguments_.clear();
  return sent != ResponseWriter::Sent::kEngineGone;
}

// The command has noticed that nobody waits for it any more.
bool CommandRunner::give_up(std::uint64_t service_ns) {
  PyErr_Clear();  // and with it the frames that hold what is the session's
  views_.end();
  ticket_.is_not_kept = lease_ && !can_keep_session(0);
  const ResponseWriter::Sent sent = writer_.cancelled(ticket_, service_ns);
  restore_session();
  arguments_.clear();
  return sent != ResponseWriter::Sent::kEngineGone;
}

bool CommandRunner::pong(std::uint64_t request_id) {
  return writer_.pong(request_id) != ResponseWriter::Sent::kEngineGone;
}

ErrorReport CommandRunner::describe_exception() const {
  const pybind11::object error = take_exception();
  return report_of([&] {
    return worker_.host.attr("describe")(error, command_ == nullptr ? "" : command_->name);
  });
}

// ---- the session at hand ----

const pybind11::object& CommandRunner::session() const noexcept {
  return lease_ ? lease_.session() : anonymous_;
}

bool CommandRunner::session_is_touched() const noexcept {
  return PyDict_GET_SIZE(session_state(session()).touched) != 0;
}

// `added_bytes`: what a change adds.
bool CommandRunner::can_keep_session(std::size_t added_bytes) {
  SessionState& state = session_state(session());
  return keep_unread_fields(state) && !lease_.is_superseded() &&
         worker_.sessions.fits(state.bytes + added_bytes);
}

void CommandRunner::keep_session(SessionVersion version) {
  if (lease_) {
    lease_.give_back(version, session_state(session()).bytes);
  } else {
    reset_anonymous();
  }
}

void CommandRunner::restore_session() {
  if (ticket_.is_not_kept) {
    lease_.drop();
  } else if (lease_ && session_is_touched() && !roll_back(session_state(session()))) {
    PyErr_Clear();
    lease_.drop();
  } else {
    keep_session(version_);
  }
}

void CommandRunner::reset_anonymous() {
  if (!anonymous_) return;
  SessionState& state = session_state(anonymous_);
  if (anonymous_.ref_count() > 1) {
    anonymous_ = {};
  } else if (PyDict_GET_SIZE(state.fields) != 0 || PyDict_GET_SIZE(state.touched) != 0) {
    PyDict_Clear(state.fields);
    PyDict_Clear(state.touched);
  }
}

}  // namespace dspool::python
