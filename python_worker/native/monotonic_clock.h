// The clock that deadlines are told by.
#pragma once

#include <cstdint>
#include <ctime>

namespace dspool::python {

// CLOCK_MONOTONIC.
inline std::uint64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace dspool::python
