// Ctrl-C, as something that a long run can look at.
#pragma once

#include <atomic>

namespace dspool::cli {

// Becomes true with the first SIGINT or SIGTERM after this call; the second one ends the program.
// A signal's handler belongs to the process, and so does this flag: the only thing here that does.
const std::atomic<bool>& watch_for_interrupt();

}  // namespace dspool::cli
