// The records of a session's log: what one commit changed, or a snapshot of all there is, after
// which nothing that came before counts. Each is a FlatBuffer (schemas/stored.fbs) with the version
// of its schema, preceded by its length and a checksum; records stand one after the other.
//
// Values above kCompressedFrom are compressed with zstd, where that makes them smaller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/error.h"
#include "engine/session/model_reference.h"
#include "engine/session/record.h"
#include "engine/session/stored_answers.h"

namespace dspool::store {

// A field as it is encoded: one FlexBuffer, and what was appended to it, as value sequences
// (ipc/value_sequence.h) in their order.
struct FieldView {
  std::string_view key;
  std::span<const std::uint8_t> base;
  std::vector<std::span<const std::byte>> appended;
};

struct SnapshotView {
  std::uint64_t version = 0;
  std::uint64_t state_id = 0;
  std::uint64_t operations = 0;
  std::vector<FieldView> fields;
  const session::StoredAnswers* answers = nullptr;  // null: none
  const session::ModelReference* model = nullptr;   // null: the session has none of its own
};

struct CommitView {
  std::uint64_t version = 0;  // after it
  std::uint64_t state_id = 0;
  std::uint64_t operations = 0;
  const session::Delta* delta = nullptr;          // null: it changed nothing
  const session::StoredAnswer* answer = nullptr;  // null: it had no idempotency key
  const session::ModelReference* model =
      nullptr;  // with an empty name: none from here on; null: as before
};

// Append one record. `to` keeps its capacity.
void append_snapshot(const SnapshotView& snapshot, std::vector<std::byte>& to);
void append_commit(const CommitView& commit, std::vector<std::byte>& to);

// What a log comes to. Owns its bytes.
struct StoredField {
  std::string key;
  std::vector<std::uint8_t> base;
  std::vector<std::byte> appended;  // one value sequence
};
struct StoredState {
  std::uint64_t version = 0;
  std::uint64_t state_id = 0;
  std::uint64_t operations = 0;
  std::vector<StoredField> fields;                 // sorted by key
  std::vector<session::StoredAnswer> answers;      // the oldest first; `stored` is not set
  std::optional<session::ModelReference> model{};  // nothing: the session has none of its own
};
// Trusts nothing: checksums, FlatBuffers, every FlexBuffer, versions without a gap.
// Errors: session / "session_corrupted", with what is wrong; "schema_too_new".
Result<StoredState> read_log(std::span<const std::byte> log);

}  // namespace dspool::store
