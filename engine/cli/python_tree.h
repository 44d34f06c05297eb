// Where the worker's Python package is, seen from this program.
#pragma once

#include <string>
#include <vector>

namespace dspool::cli {

// The folders to put on Python's path: the one beside this program, in a build tree or an
// installation; none where there is none, and PYTHONPATH decides.
[[nodiscard]] std::vector<std::string> python_tree();

}  // namespace dspool::cli
