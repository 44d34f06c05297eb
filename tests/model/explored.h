// What a test says of a program that is explored.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <iostream>

#include "tests/model/explore.h"

namespace dspool::model {

inline void expect_no_failure(const std::function<void(Execution&)>& set_up) {
  const Verdict verdict = explore(set_up);
  std::cout << verdict.states << " states, " << verdict.executions << " executions\n";
  if (!verdict.failure.empty()) ADD_FAILURE() << verdict.failure;
}

}  // namespace dspool::model
