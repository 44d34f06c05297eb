// A session's state: its fields at one version. Plain data with one writer; whoever owns the
// session serialises the access.
//
// Invariants
//   I1  fields are sorted by key, keys are unique.
//   I2  version counts commits, gapless from 1; state_id names the attempt that made it, so that
//       a worker that kept the result of a discarded attempt is never taken to have this state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/session/hot_allocator.h"

namespace dspool::session {

using Bytes = std::vector<std::uint8_t, HotAllocator<std::uint8_t>>;

struct Field {
  std::string key;
  Bytes value;  // one FlexBuffer
};

// What a command changed. Views: whoever decoded it keeps the bytes alive.
struct Delta {
  struct Put {
    std::string_view key;
    std::span<const std::uint8_t> value;
  };
  std::vector<Put> puts;
  std::vector<std::string_view> deletes;

  [[nodiscard]] bool empty() const noexcept { return puts.empty() && deletes.empty(); }
  void clear() noexcept {
    puts.clear();
    deletes.clear();
  }
};

class Record {
 public:
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] std::uint64_t state_id() const noexcept { return state_id_; }
  [[nodiscard]] const std::vector<Field>& fields() const noexcept { return fields_; }
  // Keys and encoded values.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] const Field* find(std::string_view key) const noexcept;

  // What `bytes` would be after `delta`.
  [[nodiscard]] std::size_t bytes_after(const Delta& delta) const noexcept;
  // Makes the next version.
  void apply(const Delta& delta, std::uint64_t state_id);
  // Back to version 0, as if never created.
  void reset() noexcept;

 private:
  std::vector<Field>::iterator lower_bound(std::string_view key) noexcept;

  std::uint64_t version_ = 0;
  std::uint64_t state_id_ = 0;
  std::size_t bytes_ = 0;
  std::vector<Field> fields_;
};

}  // namespace dspool::session
