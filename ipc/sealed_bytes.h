// A memfd that nobody can resize, nor write to any more: how what is longer than a ring takes
// travels from one process to another. Its receiver owns the descriptor, which is all there is of
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ipc/fault.h"
#include "ipc/file_descriptor.h"

namespace dspool::ipc {

// A copy of all `parts`, one behind the other, which was never mapped: once it is sealed, it never
// changes. Looks at the memory there is first. Errors: kNoMemory, kSystem.
Result<FileDescriptor> seal_copy(std::span<const std::span<const std::byte>> parts);

// Copies what a worker sent into `bytes`, since the worker may have it mapped, after checking that
// it is what it claims to be: a sealed memfd of exactly `claimed_bytes`, with memory behind all of
// them. Errors: kViolation, kSystem.
Result<void> read_sealed(int descriptor, std::uint64_t claimed_bytes,
                         std::vector<std::byte>& bytes);

}  // namespace dspool::ipc
