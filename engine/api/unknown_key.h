// What to tell somebody who configured a key that does not exist.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace dspool {

// The successor of a key of the old pool, or else the nearest of the known keys, as the end of a
// sentence. Keys are dotted ("worker.python"); the right name in the wrong table is nearest of all.
// REQUIRES: known is not empty.
[[nodiscard]] std::string advice_on_unknown_key(std::string_view key,
                                                std::span<const std::string_view> known);

}  // namespace dspool
