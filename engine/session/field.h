// One field of a session, in the state segment: a value as it was put, and what was appended to it
// since, in chunks. An append is written behind the one before, so that it costs the same however
// long the field is; a new chunk is as long as a quarter of the field, so that they stay few.
//
// Not thread-safe. Nothing here is changed while a worker may read it: whoever owns the session
// changes it between attempts only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/value.h"
#include "engine/session/delta.h"
#include "ipc/state_segment.h"

namespace dspool::session {

// What can be appended to it: the same kind, or nothing.
enum class FieldKind : std::uint8_t { kList, kText, kOther };
[[nodiscard]] FieldKind kind_of(std::span<const std::uint8_t> value) noexcept;

// A value and what was appended to it, in this order, as one. REQUIRES: all are texts, or all are
// lists, or there is one alone.
[[nodiscard]] Value join(std::vector<Value> parts);

class Field {
 public:
  struct Chunk {
    ipc::StateBlock block;
    std::uint32_t used_bytes = 0;  // a value sequence (ipc/value_sequence.h)
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
      return block.bytes().first(used_bytes);
    }
  };

  explicit Field(std::string_view key) : key_(key) {}

  [[nodiscard]] const std::string& key() const noexcept { return key_; }
  [[nodiscard]] FieldKind kind() const noexcept { return kind_; }
  [[nodiscard]] std::span<const std::uint8_t> base() const noexcept;
  [[nodiscard]] const ipc::StateBlock& base_block() const noexcept { return base_; }
  [[nodiscard]] std::span<const Chunk> chunks() const noexcept { return chunks_; }
  // Of the values: the one that was put, and those that were appended.
  [[nodiscard]] std::size_t value_bytes() const noexcept { return base_bytes_ + appended_bytes_; }
  // All of it as one value: linear in its length.
  [[nodiscard]] Value value() const;

  // ---- room ----
  // Whether a value of so many bytes can be put where the one before lies.
  [[nodiscard]] bool fits(std::size_t bytes) const noexcept;
  // Whether one can be appended to the last chunk; if not, what a new one should have.
  [[nodiscard]] bool has_room(std::size_t bytes) const noexcept;
  [[nodiscard]] std::size_t next_chunk_bytes(std::size_t bytes) const noexcept;

  // ---- changes ----
  // REQUIRES: `fits`.
  void put_in_place(std::span<const std::uint8_t> value) noexcept;
  // `block` holds the value, and has the one before afterwards.
  void put_block(ipc::StateBlock& block, std::span<const std::uint8_t> value) noexcept;
  // REQUIRES: `has_room`.
  void append_in_place(std::span<const std::uint8_t> value) noexcept;
  // Adds a chunk of `used_bytes`, whose values have `value_bytes` together.
  void append_chunk(ipc::StateBlock block, std::size_t used_bytes, std::size_t value_bytes);

 private:
  void is_now(std::span<const std::uint8_t> value) noexcept;

  std::string key_;
  ipc::StateBlock base_;
  std::vector<Chunk> chunks_;
  std::uint64_t appended_bytes_ = 0;  // of the values, without what stands around them
  std::uint32_t base_bytes_ = 0;
  FieldKind kind_ = FieldKind::kOther;
};

}  // namespace dspool::session
