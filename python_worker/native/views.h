// The `bytes` among a command's arguments as read-only memoryviews, for commands that take them so
// (`with_views`): of a long value, nothing is copied.
//
// They end with their request. Who uses one afterwards gets Python's ValueError for a released
// memoryview. What was made from one and still looks at its bytes (a slice, a NumPy array) keeps
// seeing the same bytes, in a private copy, since their place is given to others.
//
// Threads: the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ipc/payload_view.h"

namespace dspool::python {

class Views {
 public:
  Views() = default;
  ~Views() { end(); }
  Views(const Views&) = delete;
  Views& operator=(const Views&) = delete;

  // Those made from now on look into `payload`; null: into copies.
  void begin(std::shared_ptr<ipc::PayloadView> payload) noexcept { payload_ = std::move(payload); }
  // A memoryview, a new reference; null: a Python error is set.
  [[nodiscard]] PyObject* make(std::span<const std::uint8_t> bytes);
  // Before anything is answered: from then on the engine may use the place for others.
  void end() noexcept;

 private:
  PyObject* export_bytes(std::span<const std::uint8_t> bytes) const;

  std::shared_ptr<ipc::PayloadView> payload_;
  std::vector<pybind11::object> made_;
  std::vector<pybind11::object> exporters_;  // of those that look into the payload
};

}  // namespace dspool::python
