// What must hold for every input. Ends the process where it does not: that is a finding.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace dspool::fuzz {

inline void require(bool holds, const char* claim) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", claim);
  std::abort();
}

}  // namespace dspool::fuzz
