// The demonstration: many conversations of two turns, and halfway a worker is killed. Whoever sees
// it should believe that a session does not depend on the worker that served it.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "bench/loadtest/console.h"
#include "bench/loadtest/options.h"
#include "dspool/error.h"

namespace dspool::cli {

// Tells its story line by line. True when all went as it should: a worker was killed, every
// operation succeeded, and nothing was lost, duplicated, out of order or crossed; otherwise it says
// what did not. Errors: those of start_pool.
[[nodiscard]] Result<bool> run_demo(const loadtest::Options& options,
                                    const std::vector<std::string>& python_path,
                                    const std::atomic<bool>& stop, loadtest::Console& console);

}  // namespace dspool::cli
