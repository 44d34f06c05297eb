// Anonymous shared memory: no name in any file system, gone with the last descriptor and the last
// mapping of it. Its size is fixed, and its pages exist, from the first moment.
#pragma once

#include <cstddef>
#include <utility>

#include "ipc/fault.h"
#include "ipc/file_descriptor.h"

namespace dspool::ipc {

enum class Seal {
  kSize,            // nobody can resize it, so no mapping of it can fault for ever
  kSizeAndContent,  // and nobody can write to it, except through mappings that exist already
};

class Memfd {
 public:
  // Zeroed and allocated. `name` shows in /proc/<pid>/maps. Errors: kNoMemory, kSystem.
  static Result<Memfd> create(const char* name, std::size_t bytes);

  // For good: a seal cannot be lifted, and after this none can be added.
  Result<void> seal(Seal seal);

  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }
  void close() noexcept { descriptor_.close(); }
  [[nodiscard]] FileDescriptor release() noexcept { return std::move(descriptor_); }

 private:
  explicit Memfd(FileDescriptor descriptor) noexcept : descriptor_(std::move(descriptor)) {}

  FileDescriptor descriptor_;
};

}  // namespace dspool::ipc
