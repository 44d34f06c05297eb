#include "python_worker/native/session_trial.h"

#include "python_worker/native/session_delta.h"
#include "python_worker/native/session_fields.h"

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

}  // namespace

py::tuple commit_trial(const py::object& session) {
  SessionState& state = session_state(session);
  if (!state.decoder) state.decoder = std::make_shared<ValueDecoder>();
  SessionDelta delta;
  ValueEncoder encoder;
  if (!delta.collect(state, encoder)) {
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
    throw py::type_error(delta.error());
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
