// The version of schemas/stored.fbs. Fields that are added at a table's end, and read as absent in
// what is older, leave it; whatever a reader must know of makes it one higher.
#pragma once

#include <cstdint>

namespace dspool::store {

inline constexpr std::uint16_t kSchemaVersion = 1;

}  // namespace dspool::store
