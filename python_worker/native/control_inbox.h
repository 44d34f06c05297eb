// What has come over the control socket, sorted: language models for whoever waits for one, and the
// descriptors of payloads for the requests that name them.
//
// Threads: any, without the GIL, since they wait here for each other and for the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "ipc/file_descriptor.h"
#include "ipc/worker_channel.h"

namespace dspool::python {

class ControlInbox {
 public:
  explicit ControlInbox(const ipc::WorkerChannel& channel) noexcept : channel_(channel) {}

  // The next wire::LanguageModel; nothing: the engine is gone. Each goes to one who asks.
  [[nodiscard]] std::optional<std::vector<std::byte>> take_language_model();
  // The memfd of the payload of this generation; not open: the engine is gone.
  [[nodiscard]] ipc::FileDescriptor take_payload(std::uint64_t generation);

 private:
  bool receive();

  const ipc::WorkerChannel& channel_;
  std::mutex mutex_;  // guards what follows; held by the one that reads the socket
  std::deque<std::vector<std::byte>> language_models_;
  std::unordered_map<std::uint64_t, ipc::FileDescriptor> payloads_;
};

}  // namespace dspool::python
