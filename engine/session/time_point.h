// The engine's clock: monotonic, and passed in wherever it is needed.
#pragma once

#include <chrono>

namespace dspool::session {

using TimePoint = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

}  // namespace dspool::session
