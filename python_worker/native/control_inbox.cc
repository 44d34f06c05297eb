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
  const std::lock_guard lock(mutex_);
  auto found = payloads_.find(generation);
  while (found == payloads_.end()) {
    if (!receive()) return {};
    found = payloads_.find(generation);
  }
  ipc::FileDescriptor memfd = std::move(found->second);
  payloads_.erase(found);
  return memfd;
}

bool ControlInbox::receive() {
  std::optional<ipc::ControlMessage> message = channel_.receive_control(true);
  if (!message) return false;
  if (message->descriptor.is_open()) {
    wire::PayloadHandover handover;
    std::memcpy(&handover, message->bytes.data(), sizeof handover);
    payloads_.insert_or_assign(handover.generation(), std::move(message->descriptor));
  } else {
    language_models_.push_back(std::move(message->bytes));
  }
  return true;
}

}  // namespace dspool::python
