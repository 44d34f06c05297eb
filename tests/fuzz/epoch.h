// The epoch of which the envelopes in the corpus are, and which their target expects.
#pragma once

#include <cstdint>

namespace dspool::fuzz {

inline constexpr std::uint64_t kEpoch = 5;

}  // namespace dspool::fuzz
