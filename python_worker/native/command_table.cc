#include "python_worker/native/command_table.h"

#include <algorithm>

namespace dspool::python {

CommandTable::CommandTable(const pybind11::dict& commands) {
  for (const auto& [name, callable] : commands) {
    auto& command = *commands_.emplace_back(std::make_unique<Command>());
    command.name = pybind11::cast<std::string>(name);
    command.callable = pybind11::reinterpret_borrow<pybind11::object>(callable);
    command.keyword_names = pybind11::tuple();
    command.takes_views = pybind11::hasattr(command.callable, "takes_views");
    by_name_.emplace(command.name, &command);
  }
}

Command* CommandTable::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

bool Arguments::decode(flexbuffers::Reference args, Command& command, ValueDecoder& decoder,
                       Views& views) {
  if (!args.IsMap()) {
    PyErr_SetString(PyExc_ValueError, "the arguments are not a map");
    return false;
  }
  const auto map = args.AsMap();
  const auto values = map.Values();
  for (std::size_t i = 0; i < values.size(); ++i) {
    PyObject* value = decoder.decode(values[i], 2, command.takes_views ? &views : nullptr);
    if (value == nullptr) return false;
    stack_.push_back(value);
  }
  return decode_names(map.Keys(), command, decoder);
}

bool Arguments::decode_names(const flexbuffers::TypedVector& keys, Command& command,
                             ValueDecoder& decoder) {
  const std::size_t size = keys.size();
  for (std::size_t i = 0; i < size; ++i) {
    PyObject* name = decoder.key(keys[i].AsKey());
    if (name == nullptr) return false;
    names_.push_back(name);
  }
  PyObject* last = command.keyword_names.ptr();
  const bool same = PyTuple_GET_SIZE(last) == static_cast<Py_ssize_t>(size) &&
                    std::equal(names_.begin(), names_.end(), &PyTuple_GET_ITEM(last, 0));
  if (!same) {
    PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(size));
    if (tuple == nullptr) return false;
    for (std::size_t i = 0; i < size; ++i) {
      PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), Py_NewRef(names_[i]));
    }
    command.keyword_names = pybind11::reinterpret_steal<pybind11::object>(tuple);
  }
  keyword_names_ = command.keyword_names;
  return true;
}

PyObject* Arguments::call(const Command& command, const pybind11::object& session) {
  stack_[kFirst - 1] = session.ptr();
  return PyObject_Vectorcall(command.callable.ptr(), &stack_[kFirst - 1],
                             1 | PY_VECTORCALL_ARGUMENTS_OFFSET, keyword_names_.ptr());
}

void Arguments::clear() noexcept {
  std::for_each(stack_.begin() + kFirst, stack_.end(), [](PyObject* value) { Py_DECREF(value); });
  std::for_each(names_.begin(), names_.end(), [](PyObject* name) { Py_DECREF(name); });
  stack_.resize(kFirst);
  names_.clear();
}

}  // namespace dspool::python
