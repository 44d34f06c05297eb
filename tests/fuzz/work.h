// How much has been done for an input, counted and not timed: the branches that were taken in code
// of ours and of header-only libraries, and the bytes that were compared, searched and copied. An
// input costs the same on every machine and under any load, so that "at most so much for each
// byte" can be required of every input that the fuzzer tries.
//
// Counted by the instrumentation of the preset fuzz (work_hooks.cc); in other builds all work is 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dspool::fuzz {

extern std::uint64_t work_done;  // since the process began; what runs the targets has one thread

class Work {
 public:
  Work() noexcept;  // counts from here on

  [[nodiscard]] std::uint64_t done() const noexcept;
  // Ends the process when more was done than `fixed` and `each` for each of `size`.
  void require_linear(const char* what, std::size_t size, std::uint64_t each,
                      std::uint64_t fixed) const;

 private:
  const std::uint64_t start_;
};

}  // namespace dspool::fuzz
