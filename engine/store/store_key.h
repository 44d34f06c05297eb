// Keys of a store's records: what kind of record it is, then the session's id so written that keys
// sort as ids do, and none is the beginning of another: 0x00 -> 0x00 0xFF, and 0x00 0x01 at the
// end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dspool::store {

enum class RecordKind : char {
  kMeta = 'E',       // of the store itself; `id` is what of it
  kLog = 'L',        // a session's log
  kParked = 'M',     // the log of a parked one
  kSetAside = 'Q',   // id, and then when: what was there of one that could not be read
  kTerms = 'S',      // a session's terms
  kTombstone = 'T',  // when it expired
};

[[nodiscard]] std::string store_key(RecordKind kind, std::string_view id);
// The first key of this kind, and the first after all of them.
[[nodiscard]] std::string first_key(RecordKind kind);
[[nodiscard]] std::string end_key(RecordKind kind);
// The id in a key, up to its terminator. REQUIRES: made by store_key(), and perhaps longer.
[[nodiscard]] std::string id_of_key(std::string_view key);

}  // namespace dspool::store
