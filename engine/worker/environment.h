// The environment that a worker starts with: the engine's own without its secrets, since what a
// process once had there stays readable in /proc.
#pragma once

#include <string>
#include <vector>

#include "dspool/config.h"

namespace dspool::worker {

// "NAME=value" lines. Python finds the package on `python_path`, prints unbuffered, and numeric
// libraries use one thread unless told otherwise.
std::vector<std::string> worker_environment(const WorkerConfig& config,
                                            const char* const* engine_environment);

}  // namespace dspool::worker
