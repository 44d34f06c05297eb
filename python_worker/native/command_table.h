// The adapter's commands, and the way from a request's arguments to a call: a FlexBuffer map
// becomes keyword arguments without a dict in between.
//
// Threads: the GIL.
#pragma once

#include <flatbuffers/flexbuffers.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "python_worker/native/value_decoder.h"

namespace dspool::python {

struct Command {
  std::string name;
  pybind11::object callable;       // called as callable(session, **arguments)
  pybind11::object keyword_names;  // the tuple of the last call: the next one mostly has the same
  bool takes_views = false;        // of the bytes among its arguments
};

class CommandTable {
 public:
  // REQUIRES: `commands` maps names to callables.
  explicit CommandTable(const pybind11::dict& commands);

  // The command of this name, for the table's lifetime, or null.
  [[nodiscard]] Command* find(std::string_view name) const;

 private:
  std::vector<std::unique_ptr<Command>> commands_;
  std::unordered_map<std::string_view, Command*> by_name_;
};

// The arguments of one call, decoded. Reusable; owns references between `decode` and `clear`.
class Arguments {
 public:
  Arguments() = default;
  ~Arguments() { clear(); }
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  // False: a Python error is set. `views` are used by a command that takes them.
  [[nodiscard]] bool decode(flexbuffers::Reference args, Command& command, ValueDecoder& decoder,
                            Views& views);
  // The command's result, a new reference, or null with a Python error set.
  [[nodiscard]] PyObject* call(const Command& command, const pybind11::object& session);
  void clear() noexcept;

 private:
  bool decode_names(const flexbuffers::TypedVector& keys, Command& command, ValueDecoder& decoder);

  static constexpr std::size_t kFirst = 2;  // after the vectorcall's scratch place and the session
  std::vector<PyObject*> stack_{nullptr, nullptr};
  std::vector<PyObject*> names_;
  pybind11::object keyword_names_;
};

}  // namespace dspool::python
