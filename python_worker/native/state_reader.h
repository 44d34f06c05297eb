// From the references that come with a request to the memory that they mean: extents, mapped for as
// long as the worker lives, and blocks by themselves, mapped for the time of the request.
//
// Threads: one at a time, which holds the GIL; it is given up only to wait for what a request names
// and what has not come over the control socket yet.
#pragma once

#include <memory>

#include "ipc/fault.h"
#include "ipc/state_segment_view.h"
#include "python_worker/native/control_inbox.h"
#include "python_worker/native/unread_fields.h"
#include "schemas/envelope_generated.h"

namespace dspool::python {

class StateReader {
 public:
  explicit StateReader(ControlInbox& inbox) noexcept : inbox_(inbox) {}

  // Takes every block that the state names, so that none is left when nobody reads it. Errors:
  // kSystem; kPeerGone; kViolation when something else is there, or not all of it.
  [[nodiscard]] ipc::Result<std::unique_ptr<UnreadFields>> read(const wire::SessionState& state);
  // Takes the memory of fields that nobody needs any more, for the next `read`.
  void recycle(std::unique_ptr<UnreadFields> fields) noexcept {
    if (fields) spare_ = std::move(fields);
  }

 private:
  ipc::Result<UnreadFields::Bytes> find(const wire::Piece& piece, UnreadFields& fields);
  ipc::Result<UnreadFields::Bytes> find_in_extent(const wire::Piece& piece);
  ipc::Result<UnreadFields::Bytes> map_block(const wire::Piece& piece, UnreadFields& fields);

  ControlInbox& inbox_;
  ipc::StateSegmentView segment_;
  std::unique_ptr<UnreadFields> spare_;
};

}  // namespace dspool::python
