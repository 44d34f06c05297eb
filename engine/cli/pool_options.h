// Options that every subcommand with a pool has.
#pragma once

#include <CLI/App.hpp>

#include "bench/loadtest/options.h"
#include "dspool/error.h"
#include "engine/cli/command.h"

namespace dspool::cli {

// --python and --log-level. REQUIRES: `options` outlives `command`.
void add_pool_options(CLI::App& command, loadtest::Options& options);

// Says on standard error why there was nothing to report.
ExitStatus report_failure(const Error& error, const loadtest::Options& options);

}  // namespace dspool::cli
