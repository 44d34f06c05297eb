#include "engine/store/log_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/api/json_writer.h"
#include "engine/api/value_verifier.h"
#include "engine/store/compression.h"
#include "ipc/value_sequence.h"

namespace dspool::store {
namespace {

// A key in a message: as much of it as helps, whatever bytes it has.
std::string told(std::string_view key) {
  constexpr std::size_t kMostTold = 64;
  std::string text;
  append_json_string(text, key.substr(0, kMostTold));
  return text;
}

std::size_t answer_bytes(const session::StoredAnswer& answer) noexcept {
  return answer.key.size() + answer.value.size();
}

}  // namespace

LogState::Checked LogState::take(const stored::Record& record, std::size_t bytes) {
  record_bytes_left_ = bytes;
  Checked taken;
  if (const auto* const snapshot = record.content_as_Snapshot(); snapshot != nullptr) {
    taken = take(*snapshot, record);
  } else if (const auto* const commit = record.content_as_Commit(); commit != nullptr) {
    taken = take(*commit, record);
  } else {
    return tl::unexpected(std::string("it is neither a snapshot nor a commit"));
  }
  begun_ = true;
  version_ = record.version();
  state_id_ = record.state_id();
  operations_ = record.operations();
  return taken;
}

LogState::Checked LogState::take(const stored::Snapshot& snapshot, const stored::Record& record) {
  if (begun_ && record.version() < version_) {
    return tl::unexpected(
        fmt::format("a snapshot of version {} follows version {}", record.version(), version_));
  }
  fields_.clear();
  answers_.clear();
  answers_bytes_ = 0;
  model_.reset();
  if (snapshot.language_model() != nullptr) {
    if (Checked taken = take(*snapshot.language_model()); !taken) return taken;
  }
  if (snapshot.fields() != nullptr) {
    for (const stored::Field* const field : *snapshot.fields()) {
      const std::size_t before = fields_.size();
      if (Checked taken = put(*field); !taken) return taken;
      if (fields_.size() == before) {
        return tl::unexpected(
            fmt::format("the field {} is there twice", told(field->key()->string_view())));
      }
    }
  }
  if (snapshot.answers() != nullptr) {
    for (const stored::Answer* const answer : *snapshot.answers()) {
      if (Checked taken = take(*answer); !taken) return taken;
    }
  }
  return {};
}

LogState::Checked LogState::take(const stored::Commit& commit, const stored::Record& record) {
  const std::uint64_t expected = version_ + (commit.delta() != nullptr ? 1 : 0);
  if (record.version() != expected) {
    return tl::unexpected(fmt::format("it makes version {}, where version {} comes next",
                                      record.version(), expected));
  }
  if (commit.delta() != nullptr) {
    if (Checked taken = take(*commit.delta()); !taken) return taken;
  }
  if (commit.language_model() != nullptr) {
    if (Checked taken = take(*commit.language_model()); !taken) return taken;
  }
  if (commit.answer() != nullptr) return take(*commit.answer());
  return {};
}

LogState::Checked LogState::take(const stored::LanguageModel& model) {
  const auto name = key_of(*model.model());
  if (!name) return tl::unexpected(name.error());
  model_.reset();
  if (name->empty()) return {};
  model_.emplace();
  model_->model = *name;
  if (model.api_base() != nullptr) {
    const auto base = key_of(*model.api_base());
    if (!base) return tl::unexpected(base.error());
    model_->api_base = *base;
  }
  if (model.temperature() >= 0) model_->temperature = model.temperature();
  model_->had_key = model.had_key();
  return {};
}

LogState::Checked LogState::take(const stored::Delta& delta) {
  if (delta.puts() != nullptr) {
    for (const stored::Field* const field : *delta.puts()) {
      if (Checked taken = put(*field); !taken) return taken;
    }
  }
  if (delta.deletes() != nullptr) {
    for (const flatbuffers::String* const deleted : *delta.deletes()) {
      const auto key = key_of(*deleted);
      if (!key) return tl::unexpected(key.error());
      if (const auto at = fields_.find(*key); at != fields_.end()) fields_.erase(at);
    }
  }
  if (delta.appends() != nullptr) {
    for (const stored::Field* const field : *delta.appends()) {
      if (Checked taken = append(*field); !taken) return taken;
    }
  }
  return {};
}

// The same limits as where answers were kept before: the oldest go first.
LogState::Checked LogState::take(const stored::Answer& answer) {
  const auto key = key_of(*answer.key());
  if (!key) return tl::unexpected(key.error());
  const auto value = unpacked(*key, *answer.value());
  if (!value) return tl::unexpected(value.error());
  if (!verify_value(*value)) {
    return tl::unexpected(fmt::format("the answer of {} does not verify", told(*key)));
  }
  const auto old = std::ranges::find(answers_, *key, &session::StoredAnswer::key);
  if (old != answers_.end()) {
    answers_bytes_ -= answer_bytes(*old);
    answers_.erase(old);
  }
  answers_.push_back({.key = std::string(*key),
                      .asked = {.low = answer.asked_low(), .high = answer.asked_high()},
                      .value = {value->begin(), value->end()},
                      .version = answer.version(),
                      .stored = {}});
  answers_bytes_ += answer_bytes(answers_.back());
  while (answers_.size() > session::StoredAnswers::kMostAnswers ||
         answers_bytes_ > session::StoredAnswers::kMostBytes) {
    answers_bytes_ -= answer_bytes(answers_.front());
    answers_.pop_front();
  }
  return {};
}

LogState::Checked LogState::put(const stored::Field& field) {
  const auto key = key_of(*field.key());
  if (!key) return tl::unexpected(key.error());
  const auto value = unpacked(*key, *field.value());
  if (!value) return tl::unexpected(value.error());
  if (!verify_value(*value)) {
    return tl::unexpected(fmt::format("the field {} does not verify", told(*key)));
  }
  auto at = fields_.find(*key);
  if (at == fields_.end()) at = fields_.emplace(std::string(*key), Field{}).first;
  at->second.base.assign(value->begin(), value->end());
  at->second.appended.clear();
  at->second.growth = growth_of(at->second.base);
  if (field.appended() == nullptr) return {};
  const auto appended = unpacked(*key, *field.appended());
  if (!appended) return tl::unexpected(appended.error());
  return append_all(*key, at->second, *appended);
}

LogState::Checked LogState::append(const stored::Field& field) {
  const auto key = key_of(*field.key());
  if (!key) return tl::unexpected(key.error());
  const auto at = fields_.find(*key);
  if (at == fields_.end()) {
    return tl::unexpected(
        fmt::format("it appends to the field {}, which is not there", told(*key)));
  }
  const auto value = unpacked(*key, *field.value());
  if (!value) return tl::unexpected(value.error());
  return append(*key, at->second, *value);
}

LogState::Checked LogState::append(std::string_view key, Field& field, Bytes value) {
  if (!verify_value(value)) {
    return tl::unexpected(fmt::format("what it appends to {} does not verify", told(key)));
  }
  if (field.growth == Growth::kNone || growth_of(value) != field.growth) {
    return tl::unexpected(fmt::format(
        "what it appends to {} is not a list after a list, nor a text after a text", told(key)));
  }
  const std::size_t at = field.appended.size();
  field.appended.resize(at + ipc::sequence_bytes(value.size()));
  ipc::write_in_sequence(&field.appended[at], std::as_bytes(value));
  return {};
}

LogState::Checked LogState::append_all(std::string_view key, Field& field, Bytes sequence) {
  ipc::ValueSequence values(std::as_bytes(sequence));
  while (const auto value = values.next()) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(value->data());
    if (Checked taken = append(key, field, {bytes, value->size()}); !taken) return taken;
  }
  if (!values.is_damaged()) return {};
  return tl::unexpected(fmt::format("what was appended to {} is cut short", told(key)));
}

tl::expected<LogState::Bytes, std::string> LogState::unpacked(std::string_view key,
                                                              const stored::Value& value) {
  const Bytes bytes(value.bytes()->data(), value.bytes()->size());
  if (bytes.size() > record_bytes_left_) {
    return tl::unexpected(std::string("its values are longer than it is"));
  }
  record_bytes_left_ -= bytes.size();
  if (value.raw_bytes() == 0) return bytes;
  if (!decompress(bytes, value.raw_bytes(), unpacked_)) {
    return tl::unexpected(
        fmt::format("the value of {} is not {} compressed bytes", told(key), value.raw_bytes()));
  }
  return unpacked_;
}

tl::expected<std::string_view, std::string> LogState::key_of(const flatbuffers::String& text) {
  const std::string_view key(text.c_str(), text.size());
  if (key.size() > record_bytes_left_) {
    return tl::unexpected(std::string("its keys are longer than it is"));
  }
  record_bytes_left_ -= key.size();
  return key;
}

StoredState LogState::finish() && {
  StoredState state{
      .version = version_,
      .state_id = state_id_,
      .operations = operations_,
      .fields = {},
      .answers = {std::move_iterator(answers_.begin()), std::move_iterator(answers_.end())},
      .model = std::move(model_)};
  state.fields.reserve(fields_.size());
  while (!fields_.empty()) {
    auto field = fields_.extract(fields_.begin());
    state.fields.push_back({.key = std::move(field.key()),
                            .base = std::move(field.mapped().base),
                            .appended = std::move(field.mapped().appended)});
  }
  return state;
}

}  // namespace dspool::store
