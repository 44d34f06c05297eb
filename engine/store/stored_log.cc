// Reading a log of records.
#include <fmt/format.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "engine/store/frame.h"
#include "engine/store/log_state.h"
#include "engine/store/schema_version.h"
#include "engine/store/stored_record.h"
#include "schemas/stored_generated.h"

namespace dspool::store {
namespace {

// A snapshot nests four tables deep. The least of them takes as much of a record, unless they
// share what they are made of, as no record of ours does.
constexpr flatbuffers::uoffset_t kMaxDepth = 8;
constexpr std::size_t kLeastTableBytes = 16;

const stored::Record* verified_record(std::span<const std::uint8_t> body) {
  const auto most_tables =
      static_cast<flatbuffers::uoffset_t>(body.size() / kLeastTableBytes + kMaxDepth);
  flatbuffers::Verifier verifier(body.data(), body.size(), kMaxDepth, most_tables);
  return stored::VerifyRecordBuffer(verifier) ? stored::GetRecord(body.data()) : nullptr;
}

Error damaged(std::size_t at, std::size_t log_bytes, std::string_view why) {
  return {
      .category = ErrorCategory::kSession,
      .code = "session_corrupted",
      .message = fmt::format("the session's stored log is damaged at byte {} of {}: {}; end the "
                             "session, or take it from a backup",
                             at, log_bytes, why)};
}

Error too_new(std::uint16_t version) {
  return {.category = ErrorCategory::kSession,
          .code = "schema_too_new",
          .message = fmt::format("the session was stored with schema version {}, and this dspool "
                                 "reads no later one than {}: use the dspool that wrote it",
                                 version, kSchemaVersion)};
}

}  // namespace

Result<StoredState> read_log(std::span<const std::byte> log) {
  // FlatBuffers' accessors need the alignment that records have within a log.
  std::vector<std::byte> aligned;
  if (reinterpret_cast<std::uintptr_t>(log.data()) % alignof(std::uint64_t) != 0) {
    aligned.assign(log.begin(), log.end());
    log = aligned;
  }
  LogState state;
  FrameReader frames(log);
  while (!frames.at_end()) {
    const std::size_t at = frames.at();
    const auto body = frames.next();
    if (!body) return tl::unexpected(damaged(at, log.size(), body.error()));
    const stored::Record* const record = verified_record(*body);
    if (record == nullptr) {
      return tl::unexpected(damaged(at, log.size(), "a record that does not verify"));
    }
    if (record->schema_version() > kSchemaVersion) {
      return tl::unexpected(too_new(record->schema_version()));
    }
    if (const auto taken = state.take(*record, body->size()); !taken) {
      return tl::unexpected(damaged(at, log.size(), "of the record there, " + taken.error()));
    }
  }
  return std::move(state).finish();
}

}  // namespace dspool::store
