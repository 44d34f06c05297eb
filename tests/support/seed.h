// The seed of a random test: a fresh one, or DSPOOL_SEED to repeat a run. Printed, so that a run
// that failed can be repeated.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

namespace dspool::test {

inline std::uint64_t test_seed() {
  const char* given = std::getenv("DSPOOL_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "DSPOOL_SEED=" << seed << std::endl;
  return seed;
}

}  // namespace dspool::test
