// Runs a small program of several threads in every way in which it can run.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "tests/model/execution.h"

namespace dspool::model {

struct Verdict {
  std::string failure;  // "": none
  std::size_t executions = 0;
  std::size_t states = 0;
};

// `set_up` makes the program anew for each execution: its atomics, its threads and what must hold
// at its end. Stops at the first failure.
Verdict explore(const std::function<void(Execution&)>& set_up);

}  // namespace dspool::model
