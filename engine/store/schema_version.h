// The version of schemas/stored.fbs. Fields that are added at a table's end, and read as absent in
// what is older, leave it; whatever a reader must know of makes it one higher. A record has the
// first version whose readers know all that is in it, so that who does not use what is new can go
// back to what is older.
#pragma once

#include <cstdint>

namespace dspool::store {

inline constexpr std::uint16_t kFirstSchemaVersion = 1;
inline constexpr std::uint16_t kLanguageModelsVersion = 2;  // sessions may have one of their own
inline constexpr std::uint16_t kSchemaVersion = kLanguageModelsVersion;  // the latest

}  // namespace dspool::store
