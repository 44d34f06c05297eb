// A few random numbers out of one seed: SplitMix64 (Steele, Lea and Flood, Fast Splittable
// Pseudorandom Number Generators, 2014). The standard library's engines cost kilobytes to seed,
// and its distributions differ between implementations.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dspool::offline_lm {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }

  // In [0, 1).
  double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

  // In [0, size). REQUIRES: size > 0
  std::size_t index(std::size_t size) noexcept { return next() % size; }

 private:
  std::uint64_t state_;
};

}  // namespace dspool::offline_lm
