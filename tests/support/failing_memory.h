// Memory that is not there when a test says so. A program that has failing_memory.cc among its
// sources gets its memory through it: the heap's by operator new and mimalloc, shared memory and
// descriptors by the system calls that make them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dspool::test {

// While one lives, the `nth` allocation of its kind in this thread fails, from 1. One at a time.
class FailingMemory {
 public:
  enum class Kind : std::uint8_t {
    kHeap,
    kSystem,  // memfd_create, fallocate, eventfd, socketpair
  };
  // Of the heap's, those count that have at least `least` and at most `most` bytes.
  explicit FailingMemory(Kind kind, unsigned nth = 1, std::size_t least = 0,
                         std::size_t most = SIZE_MAX) noexcept;
  FailingMemory(const FailingMemory&) = delete;
  FailingMemory& operator=(const FailingMemory&) = delete;
  ~FailingMemory();

  // Whether it came to that.
  [[nodiscard]] bool has_failed() const noexcept;
};

}  // namespace dspool::test
