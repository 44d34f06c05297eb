// A value of a request that is too long for the ring: where it lies, until it is mapped.
//
// Threads: the GIL.
#pragma once

#include <cstdint>
#include <memory>

#include "ipc/payload_view.h"
#include "python_worker/native/control_inbox.h"
#include "schemas/envelope_generated.h"

namespace dspool::python {

class LongValue {
 public:
  // Takes the descriptor that came for it, if one did. `at` null: the value is not a long one.
  LongValue(const ipc::WorkerChannel& channel, ControlInbox& inbox, const wire::Payload* at);

  explicit operator bool() const noexcept { return is_long_; }
  // REQUIRES: it is a long one.
  [[nodiscard]] ipc::Result<std::unique_ptr<ipc::PayloadView>> map() const;

 private:
  bool is_long_;
  int slab_;
  ipc::PayloadPlace place_;
  ipc::FileDescriptor memfd_;
};

inline std::span<const std::uint8_t> bytes_of(const ipc::PayloadView& view) noexcept {
  const auto bytes = view.bytes();
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace dspool::python
