// The messages between the engine and its fork server (schemas/fork.fbs).
//
// Trust: the server runs the adapter's code, so what it says is verified before it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/worker/codec.h"
#include "ipc/child_process.h"
#include "schemas/fork_generated.h"

namespace dspool::worker {

struct ForkReport {
  wire::ForkWord word{};
  std::uint64_t epoch = 0;  // of the worker; 0: of the server itself
  Error error;              // failed
  ipc::ExitStatus status;   // ended
};

// For a worker of this epoch, whose descriptors get these numbers.
std::vector<std::byte> encode_fork_order(std::uint64_t epoch, std::span<const int> numbers);

// REQUIRES: `body` is private memory, aligned to 16 bytes.
Verified<ForkReport> decode_fork_report(std::span<const std::byte> body);

}  // namespace dspool::worker
