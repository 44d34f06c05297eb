// A whole run, as `dspool simulate` makes it: each policy, at a load or at the one that it
// sustains.
#pragma once

#include <vector>

#include "dspool/error.h"
#include "engine/simulation/options.h"
#include "engine/simulation/report.h"
#include "engine/simulation/simulation.h"

namespace dspool::simulation {

// A report for each policy, fewer where `progress` stopped it; the last one says so. Errors:
// initialization / "invalid_options", also of a trace that cannot be read.
[[nodiscard]] Result<std::vector<Report>> simulate(const Options& options,
                                                   const Progress& progress);

}  // namespace dspool::simulation
