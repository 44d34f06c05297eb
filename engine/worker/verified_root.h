// The root of what another process wrote, if it can be read safely: verified with bounds on depth
// and number of tables.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace dspool::worker {

// A response nests four tables deep; the smallest field takes 24 bytes of a record.
inline constexpr flatbuffers::uoffset_t kMaxDepth = 8;
inline constexpr std::size_t kLeastTableBytes = 24;

// Null: it does not verify. REQUIRES: `body` is private memory, aligned to 16 bytes.
template <typename T>
const T* verified_root(std::span<const std::byte> body) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(body.data());
  const auto most_tables =
      static_cast<flatbuffers::uoffset_t>(body.size() / kLeastTableBytes + kMaxDepth);
  flatbuffers::Verifier verifier(data, body.size(), kMaxDepth, most_tables);
  return verifier.VerifyBuffer<T>(nullptr) ? flatbuffers::GetRoot<T>(data) : nullptr;
}

}  // namespace dspool::worker
