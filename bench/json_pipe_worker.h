// A worker as the design before dspool had it: JSON over two pipes, one request in flight
// (peers/json_pipe_worker.py). The peer that the engine is compared with.
//
// Threads: one, which lives as long as the worker should (ChildProcess).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dspool/error.h"
#include "dspool/value.h"
#include "ipc/child_process.h"
#include "ipc/file_descriptor.h"

namespace dspool::bench {

class JsonPipeWorker {
 public:
  // Returns when the worker has answered its first request.
  static Result<std::unique_ptr<JsonPipeWorker>> start();

  // `args` hold the session's id as "session_id". false: the worker has ended.
  [[nodiscard]] bool send(std::string_view command, const Value& args);
  // Waits for the answer. Nothing: it was none, or an error.
  [[nodiscard]] std::optional<Value> receive();
  // Readable when an answer has begun to come.
  [[nodiscard]] int descriptor() const noexcept { return process_->standard_output(); }

 private:
  JsonPipeWorker() = default;
  Result<void> spawn();
  [[nodiscard]] bool read_at_least(std::size_t bytes);

  ipc::FileDescriptor requests_;
  std::unique_ptr<ipc::ChildProcess> process_;
  std::uint64_t sent_ = 0;
  std::string request_;
  std::string answer_;  // what was read of it so far
};

}  // namespace dspool::bench
