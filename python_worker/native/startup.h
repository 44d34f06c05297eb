// The beginning of a worker's life: attach, hello, then ready or failure.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ipc/worker_channel.h"
#include "python_worker/native/error_report.h"

namespace dspool::python {

struct Hello {
  std::uint32_t max_in_flight = 1;
  std::uint32_t session_cache = 0;
  std::uint64_t session_cache_bytes = 0;
  std::uint64_t max_payload_bytes = 0;
  std::uint32_t protocol = 0;  // the engine's
};

// What this extension speaks with the engine.
[[nodiscard]] std::uint32_t protocol_version() noexcept;

// Closes core dumps, /proc and ptrace of this process, and of all that it forks, to others of the
// same user: its memory will hold settings and keys. Errors: kSystem.
[[nodiscard]] ipc::Result<void> keep_private();

// Attaches to the inherited descriptors, keeps the process private and starts the lifeline.
// `spin_limit`: the channel's own if unset.
[[nodiscard]] ipc::Result<std::unique_ptr<ipc::WorkerChannel>> attach(
    std::optional<std::chrono::nanoseconds> spin_limit);

// Waits for the first record. Errors: kPeerGone, kViolation when it is another one.
[[nodiscard]] ipc::Result<Hello> receive_hello(ipc::WorkerChannel& channel);

// Says that commands may come. `python` names the interpreter.
void send_ready(ipc::WorkerChannel& channel, const std::string& python,
                const std::vector<std::string>& commands);

// Says why none will. REQUIRES: the report fits into a record.
void send_failure(ipc::WorkerChannel& channel, const ErrorReport& report);

}  // namespace dspool::python
