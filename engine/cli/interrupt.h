// Ctrl-C, as something that a long run can look at.
#pragma once

#include <atomic>

namespace dspool::cli {

// Becomes true with the first SIGINT or SIGTERM after this call. Another one ends the program, but
// not within a second: some senders signal a process and its group, which is the same one twice.
// A signal's handler belongs to the process, and so does this flag: the only thing here that does.
const std::atomic<bool>& watch_for_interrupt();

}  // namespace dspool::cli
