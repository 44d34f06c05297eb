#include "python_worker/native/control_inbox.h"

#include <cstring>
#include <utility>

#include "schemas/control_generated.h"

namespace dspool::python {

std::optional<std::vector<std::byte>> ControlInbox::take_language_model() {
  const std::lock_guard lock(mutex_);
  while (language_models_.empty()) {
    if (!receive()) return std::nullopt;
  }
  std::optional model = std::move(language_models_.front());
  language_models_.pop_front();
  return model;
}

ipc::FileDescriptor ControlInbox::take_payload(std::uint64_t generation) {
  return take(payloads_, generation);
}

ipc::FileDescriptor ControlInbox::take_block(std::uint64_t number) { return take(blocks_, number); }

ipc::FileDescriptor ControlInbox::take_extent(std::uint64_t number) {
  return take(extents_, number);
}

ipc::FileDescriptor ControlInbox::take(Descriptors& from, std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  auto found = from.find(number);
  while (found == from.end()) {
    if (!receive()) return {};
    found = from.find(number);
  }
  ipc::FileDescriptor memfd = std::move(found->second);
  from.erase(found);
  return memfd;
}

bool ControlInbox::receive() {
  std::optional<ipc::ControlMessage> message = channel_.receive_control(true);
  if (!message) return false;
  if (!message->descriptor.is_open()) {
    language_models_.push_back(std::move(message->bytes));
    return true;
  }
  wire::Handover handover;
  std::memcpy(&handover, message->bytes.data(), sizeof handover);
  Descriptors* to = &payloads_;
  if (handover.kind() == wire::HandoverKind::block) to = &blocks_;
  if (handover.kind() == wire::HandoverKind::extent) to = &extents_;
  to->insert_or_assign(handover.number(), std::move(message->descriptor));
  return true;
}

}  // namespace dspool::python
