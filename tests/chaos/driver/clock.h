// The clock of the driver and of the engine's event history, in nanoseconds.
#pragma once

#include <chrono>
#include <cstdint>

namespace dspool::chaos {

using Clock = std::chrono::steady_clock;

inline std::int64_t in_ns(Clock::time_point at) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}
inline std::int64_t now_ns() { return in_ns(Clock::now()); }

}  // namespace dspool::chaos
