#include "engine/session/session_table.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dspool::session {

std::uint64_t hash_session_id(std::string_view id) noexcept {
  return XXH3_64bits(id.data(), id.size());
}

}  // namespace dspool::session
