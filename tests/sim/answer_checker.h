// Compares what callers were told with what can have happened. A session's value counts its
// increments, as its version does, so its answers never go back and rise by one with each; a key's
// answer is always the same; only what was never told may or may not have happened besides.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/simulated_call.h"

namespace dspool::sim {

// For each session, the last call before each time that it expired.
using Expiries = std::map<std::string, std::deque<std::uint64_t>>;

// What was wrong, in words.
[[nodiscard]] std::vector<std::string> check_answers(
    const std::vector<std::unique_ptr<SimulatedCall>>& calls, Expiries expiries);

}  // namespace dspool::sim
