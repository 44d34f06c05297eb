// What a log has come to so far: its records are taken one after the other. Whoever reads a record
// has seen to its FlatBuffer (stored_log.cc); everything below that is checked here.
//
// A record's keys and values could share bytes of it, and each would be copied: together they must
// be no longer than it. So reading is linear in the log's length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "engine/session/stored_answers.h"
#include "engine/store/growth.h"
#include "engine/store/stored_record.h"
#include "schemas/stored_generated.h"

namespace dspool::store {

class LogState {
 public:
  // What is wrong with a record.
  using Checked = tl::expected<void, std::string>;

  // After an error, what has been taken is worth nothing. `bytes`: of the record.
  Checked take(const stored::Record& record, std::size_t bytes);
  [[nodiscard]] StoredState finish() &&;

 private:
  struct Field {
    std::vector<std::uint8_t> base;
    std::vector<std::byte> appended;
    Growth growth = Growth::kNone;
  };
  using Bytes = std::span<const std::uint8_t>;

  Checked take(const stored::Snapshot& snapshot, const stored::Record& record);
  Checked take(const stored::Commit& commit, const stored::Record& record);
  Checked take(const stored::Delta& delta);
  Checked take(const stored::Answer& answer);
  Checked take(const stored::LanguageModel& model);
  Checked put(const stored::Field& field);
  Checked append(const stored::Field& field);
  Checked append(std::string_view key, Field& field, Bytes value);
  Checked append_all(std::string_view key, Field& field, Bytes sequence);

  // Within the record's bytes, and not compressed any more: a view of it or of unpacked_.
  tl::expected<Bytes, std::string> unpacked(std::string_view key, const stored::Value& value);
  tl::expected<std::string_view, std::string> key_of(const flatbuffers::String& text);

  bool begun_ = false;
  std::uint64_t version_ = 0;
  std::uint64_t state_id_ = 0;
  std::uint64_t operations_ = 0;
  std::map<std::string, Field, std::less<>> fields_;
  std::deque<session::StoredAnswer> answers_;
  std::size_t answers_bytes_ = 0;
  std::optional<session::ModelReference> model_;
  std::size_t record_bytes_left_ = 0;
  std::vector<std::uint8_t> unpacked_;
};

}  // namespace dspool::store
