#include "python_worker/native/long_value.h"

#include "python_worker/native/gil.h"

namespace dspool::python {

LongValue::LongValue(const ipc::WorkerChannel& channel, ControlInbox& inbox,
                     const wire::Payload* at)
    : is_long_(at != nullptr), slab_(channel.slab()) {
  if (at == nullptr) return;
  place_ = {.offset = at->offset(),
            .bytes = at->bytes(),
            .generation = at->generation(),
            .in_slab = at->in_slab()};
  if (place_.in_slab) return;
  const GilRelease no_gil;
  memfd_ = inbox.take_payload(place_.generation);
}

ipc::Result<std::unique_ptr<ipc::PayloadView>> LongValue::map() const {
  return ipc::PayloadView::map(place_.in_slab ? slab_ : memfd_.get(), place_);
}

}  // namespace dspool::python
