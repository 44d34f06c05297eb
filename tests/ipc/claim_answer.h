// What a claiming_peer answers: the types of its records.
#pragma once

#include <cstdint>

namespace dspool::ipc {

enum class ClaimAnswer : std::uint16_t { kRan = 1, kSkipped = 2 };

}  // namespace dspool::ipc
