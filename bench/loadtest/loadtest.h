// A whole load test: a pool is started, loaded, perhaps hurt, and what it did is judged.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "bench/loadtest/console.h"
#include "bench/loadtest/options.h"
#include "bench/loadtest/report.h"
#include "dspool/error.h"

namespace dspool::loadtest {

// Ends early, with what there is by then, once `stop` is set. Errors: "invalid_options" and
// "invalid_config" for what cannot be run; those of start_pool.
[[nodiscard]] Result<Report> run_loadtest(const Options& asked,
                                          const std::vector<std::string>& python_path,
                                          const std::atomic<bool>& stop, Console& console);

}  // namespace dspool::loadtest
