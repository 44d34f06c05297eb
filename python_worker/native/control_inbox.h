// What has come over the control socket, sorted: language models for whoever waits for one, and
// descriptors for the requests that name them: of payloads, of blocks of the state segment that are
// by themselves, and of its extents.
//
// A block may come more than once under one number, of which the newest is the one that counts.
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
  using Descriptors = std::unordered_map<std::uint64_t, ipc::FileDescriptor>;

 public:
  explicit ControlInbox(const ipc::WorkerChannel& channel) noexcept : channel_(channel) {}

  // The next wire::LanguageModel; nothing: the engine is gone. Each goes to one who asks.
  [[nodiscard]] std::optional<std::vector<std::byte>> take_language_model();
  // The memfd of the payload of this generation, of the block or of the extent of this number; not
  // open: the engine is gone.
  [[nodiscard]] ipc::FileDescriptor take_payload(std::uint64_t generation);
  [[nodiscard]] ipc::FileDescriptor take_block(std::uint64_t number);
  [[nodiscard]] ipc::FileDescriptor take_extent(std::uint64_t number);

 private:
  ipc::FileDescriptor take(Descriptors& from, std::uint64_t number);
  bool receive();

  const ipc::WorkerChannel& channel_;
  std::mutex mutex_;  // guards what follows; held by the one that reads the socket
  std::deque<std::vector<std::byte>> language_models_;
  Descriptors payloads_;
  Descriptors blocks_;
  Descriptors extents_;
};

}  // namespace dspool::python
