// The subcommands of `dspool`: each adds itself, with its options, to the program, and sets
// `status`, the program's exit status, when it has run.
#pragma once

#include <CLI/App.hpp>

namespace dspool::cli {

// Of all subcommands. A wrong command line is kMisused too. kUnproved: nothing was seen to be
// broken, but not everything could be looked at.
enum ExitStatus : int {
  kDone = 0,
  kBroken = 1,
  kMisused = 2,
  kCouldNotRun = 3,
  kUnproved = 4,
};

void add_loadtest(CLI::App& program, int& status);
void add_demo(CLI::App& program, int& status);
void add_errors(CLI::App& program, int& status);
void add_simulate(CLI::App& program, int& status);
void add_store(CLI::App& program, int& status);

}  // namespace dspool::cli
