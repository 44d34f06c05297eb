// A pipe, both ends of which close at exec.
#pragma once

#include "ipc/fault.h"
#include "ipc/file_descriptor.h"

namespace dspool::ipc {

struct Pipe {
  FileDescriptor readable, writable;
};

// Errors: kSystem.
[[nodiscard]] Result<Pipe> open_pipe();
// One for what a child prints: it is read here without blocking.
[[nodiscard]] Result<Pipe> open_output_pipe();

}  // namespace dspool::ipc
