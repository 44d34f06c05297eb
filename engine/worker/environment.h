// The environment that a worker starts with: of the engine's what an interpreter and its libraries
// need, what the configuration names, and nothing else. What a process once had there stays
// readable in /proc, so of what nobody named no secret is passed: by the ending of its name.
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
