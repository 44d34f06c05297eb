// The end of the proof: what the sessions' numbers are when all has ended. Answers alone cannot
// show that the last operations were kept, nor what became of those that ended without one.
#pragma once

#include <cstdint>

#include "bench/loadtest/order_checker.h"
#include "bench/loadtest/target.h"
#include "bench/loadtest/workload.h"

namespace dspool::loadtest {

// Asks each session that was used for its number (a counter by the command `read`, others by their
// version), and tells the checker. Returns how many could not be asked, for which nothing more can
// be proved.
std::uint64_t settle(Target& target, const Workload& workload, OrderChecker& checker);

}  // namespace dspool::loadtest
