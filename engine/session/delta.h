// What a command changed in a session's fields. No key stands there twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ipc/state_segment.h"

namespace dspool::session {

// Views: whoever decoded it keeps the bytes alive.
struct Delta {
  struct Put {
    std::string_view key;
    std::span<const std::uint8_t> value;  // one FlexBuffer
    // Where the value was copied to already (prepare), and, after it was applied, what
    // lay there before: it ends with the delta, and not in the step that applied it.
    ipc::StateBlock placed = {};
  };
  std::vector<Put> puts = {};
  std::vector<std::string_view> deletes = {};
  std::vector<Put> appends = {};  // a list of what comes after a list, or a text after a text

  [[nodiscard]] bool empty() const noexcept {
    return puts.empty() && deletes.empty() && appends.empty();
  }
  void clear() noexcept {
    puts.clear();
    deletes.clear();
    appends.clear();
  }
};

// Of the state segment: where what is taken within a step lies. Steps are made one at a time.
inline constexpr std::uint64_t kStepShard = 0;

// Longer values are worth copying before the step that makes them state, which all others wait for.
inline constexpr std::size_t kLongPutBytes = 4096;
// One that is placed has a chunk of its own, so that it must not be too short for that.
inline constexpr std::size_t kLongAppendBytes = std::size_t{256} << 10;

// Does beforehand what would take long in a step: copies the long values to where they can become
// state, and sees to it that there is room for the others. What there is no memory for stays as it
// is.
void prepare(Delta& delta, ipc::StateSegment& segment, std::uint64_t shard);

}  // namespace dspool::session
