// What can go wrong in this layer: the environment refused, or the peer lied. The layers above
// turn a Fault into an error of their own with a category and a cure.
#pragma once

#include <string>
#include <tl/expected.hpp>

namespace dspool::ipc {

enum class FaultKind {
  kNoMemory,   // a segment does not fit into what the machine or the cgroup has left
  kSystem,     // a system call failed; `what` names it and its errno
  kViolation,  // the peer broke the protocol; the channel must be dropped
  kMismatch,   // layout version or magic of the two sides differ
  kTooLarge,   // more than one record or one control message may carry
  kPeerGone,   // the other side has closed or died
  kFull,       // no room until the other side has read something
};

struct Fault {
  FaultKind kind = FaultKind::kSystem;
  std::string what;
};

template <typename T>
using Result = tl::expected<T, Fault>;

// The fault of a system call that failed with `error_number`, ready to be returned from any
// Result. "cannot map segment A: Permission denied (errno 13)"
[[nodiscard]] tl::unexpected<Fault> system_fault(std::string what, int error_number);

}  // namespace dspool::ipc
