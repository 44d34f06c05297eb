// A session's state: its fields at one version, in the state segment. Plain data with one writer;
// whoever owns the session serialises the access.
//
// A delta is applied in two steps, so that it is applied as a whole or not at all: `stage` takes
// the memory that it needs, `apply` cannot fail.
//
// Invariants
//   I1  fields are sorted by key, keys are unique.
//   I2  version counts commits, gapless from 1; state_id names the attempt that made it, so that
//       a worker that kept the result of a discarded attempt is never taken to have this state.
//   I3  a record that is not resident has no fields in memory, but still knows how many and how
//       large they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/session/delta.h"
#include "engine/session/field.h"
#include "ipc/state_segment.h"

namespace dspool::session {

// The blocks that a delta needs and has not got, in the order of its puts and appends.
struct Staged {
  std::vector<ipc::StateBlock> blocks;
};

// A field as it was stored.
struct LoadedField {
  std::string_view key;
  std::span<const std::uint8_t> base;   // one verified FlexBuffer
  std::span<const std::byte> appended;  // a value sequence of verified FlexBuffers of its kind
};

class Record {
 public:
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] std::uint64_t state_id() const noexcept { return state_id_; }
  // Keys and encoded values.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t field_count() const noexcept {
    return is_resident() ? fields_.size() : released_fields_;
  }
  [[nodiscard]] bool is_resident() const noexcept { return released_fields_ == kNone; }

  // ---- REQUIRES: is_resident() ----
  [[nodiscard]] const std::vector<Field>& fields() const noexcept { return fields_; }
  [[nodiscard]] const Field* find(std::string_view key) const noexcept;
  // What `bytes` would be after `delta`.
  [[nodiscard]] std::size_t bytes_after(const Delta& delta) const noexcept;
  // Whether the field is there, and is a list or a text as `value` is.
  [[nodiscard]] bool can_append(std::string_view key,
                                std::span<const std::uint8_t> value) const noexcept;
  [[nodiscard]] bool can_append_all(const Delta& delta) const noexcept;

  // Takes the memory for `delta`; nothing: there is not enough. The record is as it was.
  // REQUIRES: can_append_all(delta).
  [[nodiscard]] std::optional<Staged> stage(const Delta& delta, ipc::StateSegment& segment,
                                            std::uint64_t shard) const;
  // Makes the next version. REQUIRES: `staged` is what `stage` gave, and nothing changed since.
  void apply(Delta& delta, Staged&& staged, std::uint64_t state_id);

  // ---- whole states ----
  // Back to version 0, as if never created.
  void reset() noexcept;
  // Becomes what was stored. false: there is no memory for it, and the record is as it was.
  // REQUIRES: `fields` are sorted by key.
  [[nodiscard]] bool replace(std::uint64_t version, std::uint64_t state_id,
                             std::span<const LoadedField> fields, ipc::StateSegment& segment,
                             std::uint64_t shard);
  // Gives the fields' memory back, until `replace`.
  void release_fields() noexcept;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  void make_fields(const Delta& delta);
  std::vector<Field>::iterator lower_bound(std::string_view key) noexcept;

  std::uint64_t version_ = 0;
  std::uint64_t state_id_ = 0;
  std::vector<Field> fields_;
  std::uint32_t bytes_ = 0;
  std::uint32_t released_fields_ = kNone;
};

}  // namespace dspool::session
