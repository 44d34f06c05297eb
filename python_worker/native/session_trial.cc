#include "python_worker/native/session_trial.h"

#include <flatbuffers/flexbuffers.h>

#include <memory>
#include <string>
#include <string_view>

#include "python_worker/native/command_table.h"
#include "python_worker/native/running_session.h"
#include "python_worker/native/session_delta.h"
#include "python_worker/native/session_fields.h"
#include "python_worker/native/views.h"

namespace dspool::python {
namespace {

namespace py = pybind11;

py::object decoded(ValueDecoder& decoder, const flatbuffers::Vector<std::uint8_t>& value) {
  PyObject* const made = decoder.decode({value.data(), value.size()});
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

py::dict decoded(ValueDecoder& decoder,
                 const flatbuffers::Vector<flatbuffers::Offset<wire::Field>>* fields) {
  py::dict all;
  if (fields == nullptr) return all;
  for (const wire::Field* field : *fields) {
    all[py::str(field->key()->c_str(), field->key()->size())] = decoded(decoder, *field->value());
  }
  return all;
}

[[noreturn]] void refuse(const py::object& encode_error, const std::string& message) {
  PyErr_SetString(encode_error.ptr(), message.c_str());
  throw py::error_already_set();
}

// For as long as a command runs.
class OpenSession {
 public:
  explicit OpenSession(SessionState& state) noexcept : state_(state) { state_.open = true; }
  ~OpenSession() { state_.open = false; }
  OpenSession(const OpenSession&) = delete;
  OpenSession& operator=(const OpenSession&) = delete;

 private:
  SessionState& state_;
};

}  // namespace

py::bytes run_trial(const py::object& callable, const py::object& session, const py::bytes& args,
                    std::uint64_t deadline_ns, const py::object& encode_error) {
  SessionState& state = session_state(session);
  if (!state.decoder) state.decoder = std::make_shared<ValueDecoder>();
  Command command{.name = {},
                  .callable = callable,
                  .keyword_names = py::tuple(),
                  .takes_views = py::hasattr(callable, "takes_views")};
  const std::string_view bytes(args);
  Views views;
  Arguments arguments;
  const auto root =
      flexbuffers::GetRoot(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (!arguments.decode(root, command, *state.decoder, views)) throw py::error_already_set();
  state.deadline_ns = deadline_ns;
  py::object result;
  {
    const OpenSession open(state);
    const RunningSession running(session);
    result = py::reinterpret_steal<py::object>(arguments.call(command, session));
  }
  if (!result) throw py::error_already_set();
  ValueEncoder encoder;
  if (!encoder.encode(result.ptr())) refuse(encode_error, encoder.error("result"));
  return {reinterpret_cast<const char*>(encoder.bytes().data()), encoder.bytes().size()};
}

py::tuple commit_trial(const py::object& session, const py::object& encode_error) {
  SessionState& state = session_state(session);
  if (!state.decoder) state.decoder = std::make_shared<ValueDecoder>();
  SessionDelta delta;
  ValueEncoder encoder;
  if (!delta.collect(state, encoder)) {
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
    refuse(encode_error, delta.error());
  }
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(delta.write(builder));
  const auto& changes = *flatbuffers::GetRoot<wire::Delta>(builder.GetBufferPointer());
  py::list deletes;
  if (changes.deletes() != nullptr) {
    for (const flatbuffers::String* key : *changes.deletes()) {
      deletes.append(py::str(key->c_str(), key->size()));
    }
  }
  py::tuple told = py::make_tuple(decoded(*state.decoder, changes.puts()), deletes,
                                  decoded(*state.decoder, changes.appends()));
  if (!delta.settle(state)) throw py::error_already_set();
  return told;
}

void roll_back_trial(const py::object& session) {
  if (!roll_back(session_state(session))) throw py::error_already_set();
}

}  // namespace dspool::python
