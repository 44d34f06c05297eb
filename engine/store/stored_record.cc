// Writing records. They are read in stored_log.cc.
#include "engine/store/stored_record.h"

#include <flatbuffers/flatbuffers.h>

#include <algorithm>

#include "engine/store/compression.h"
#include "engine/store/frame.h"
#include "engine/store/schema_version.h"
#include "schemas/stored_generated.h"

namespace dspool::store {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;
template <typename T>
using Offset = flatbuffers::Offset<T>;

constexpr std::size_t kRecordBytes = 256;  // tables and paddings of a record without fields
constexpr std::size_t kFieldBytes = 64;    // the same for a field
constexpr std::size_t kValueAlignment = 8;

// What one record is made in.
class Encoder {
 public:
  // What it will take if nothing gets smaller: enough, so that it is never moved.
  explicit Encoder(std::size_t expected_bytes) : builder_(expected_bytes + kRecordBytes) {}

  Offset<stored::Value> value(std::span<const std::uint8_t> value) {
    const bool smaller = compress(value, compressed_);
    const std::span<const std::uint8_t> bytes = smaller ? compressed_ : value;
    builder_.ForceVectorAlignment(bytes.size(), sizeof(std::uint8_t), kValueAlignment);
    const auto vector = builder_.CreateVector(bytes.data(), bytes.size());
    return stored::CreateValue(builder_, vector,
                               smaller ? static_cast<std::uint32_t>(value.size()) : 0);
  }

  Offset<flatbuffers::String> text(std::string_view text) {
    return builder_.CreateString(text.data(), text.size());
  }

  Offset<stored::Answer> answer(const session::StoredAnswer& answer) {
    const auto stored_value = value(answer.value);
    return stored::CreateAnswer(builder_, text(answer.key), answer.asked.low, answer.asked.high,
                                stored_value, answer.version);
  }

  auto fields(std::span<const session::Delta::Put> puts) {
    std::vector<Offset<stored::Field>> all;
    all.reserve(puts.size());
    for (const session::Delta::Put& put : puts) {
      const auto stored_value = value(put.value);
      all.push_back(stored::CreateField(builder_, text(put.key), stored_value));
    }
    return builder_.CreateVector(all);
  }

  Offset<stored::Field> field(const FieldView& field) {
    const auto base = value(field.base);
    Offset<stored::Value> appended;
    if (!field.appended.empty()) {
      std::vector<std::uint8_t> whole;
      for (const std::span<const std::byte> part : field.appended) {
        const auto* const bytes = reinterpret_cast<const std::uint8_t*>(part.data());
        whole.insert(whole.end(), bytes, bytes + part.size());
      }
      appended = value(whole);
    }
    return stored::CreateField(builder_, text(field.key), base, appended);
  }

  Offset<stored::Delta> delta(const session::Delta& delta) {
    const auto puts = fields(delta.puts);
    std::vector<Offset<flatbuffers::String>> deletes;
    deletes.reserve(delta.deletes.size());
    for (const std::string_view key : delta.deletes) deletes.push_back(text(key));
    const auto deleted = builder_.CreateVector(deletes);
    return stored::CreateDelta(builder_, puts, deleted, fields(delta.appends));
  }

  Offset<stored::LanguageModel> model(const session::ModelReference* model) {
    if (model == nullptr) return {};
    const auto name = text(model->model);
    const auto base = text(model->api_base);
    return stored::CreateLanguageModel(builder_, name, base, model->temperature.value_or(-1),
                                       model->had_key);
  }

  // Of a SnapshotView or a CommitView.
  template <typename View, typename Content>
  void finish(const View& view, Offset<Content> content, std::vector<std::byte>& to) {
    builder_.Finish(stored::CreateRecord(
        builder_, view.model != nullptr ? kLanguageModelsVersion : kFirstSchemaVersion,
        view.version, view.state_id, view.operations, stored::ContentTraits<Content>::enum_value,
        content.Union()));
    append_frame({builder_.GetBufferPointer(), builder_.GetSize()}, to);
  }

  Builder& builder() noexcept { return builder_; }

 private:
  Builder builder_;
  std::vector<std::uint8_t> compressed_;
};

std::size_t bytes_of(const session::StoredAnswer& answer) noexcept {
  return kFieldBytes + answer.key.size() + answer.value.size();
}

std::size_t bytes_of(std::span<const session::Delta::Put> puts) noexcept {
  std::size_t bytes = 0;
  for (const session::Delta::Put& put : puts) {
    bytes += kFieldBytes + put.key.size() + put.value.size();
  }
  return bytes;
}

std::size_t bytes_of(const session::ModelReference* model) noexcept {
  return model != nullptr ? kFieldBytes + model->model.size() + model->api_base.size() : 0;
}

std::size_t bytes_of(const CommitView& commit) noexcept {
  std::size_t bytes = commit.answer != nullptr ? bytes_of(*commit.answer) : 0;
  bytes += bytes_of(commit.model);
  if (commit.delta == nullptr) return bytes;
  bytes += bytes_of(commit.delta->puts) + bytes_of(commit.delta->appends);
  for (const std::string_view key : commit.delta->deletes) bytes += kFieldBytes + key.size();
  return bytes;
}

std::size_t bytes_of(const SnapshotView& snapshot) noexcept {
  std::size_t bytes = bytes_of(snapshot.model);
  for (const FieldView& field : snapshot.fields) {
    bytes += kFieldBytes + field.key.size() + field.base.size();
    for (const std::span<const std::byte> part : field.appended) bytes += part.size();
  }
  if (snapshot.answers == nullptr) return bytes;
  for (const session::StoredAnswer& answer : snapshot.answers->oldest_first()) {
    bytes += bytes_of(answer);
  }
  return bytes;
}

}  // namespace

void append_snapshot(const SnapshotView& snapshot, std::vector<std::byte>& to) {
  Encoder encoder(bytes_of(snapshot));
  std::vector<Offset<stored::Field>> fields;
  fields.reserve(snapshot.fields.size());
  for (const FieldView& field : snapshot.fields) fields.push_back(encoder.field(field));
  std::vector<Offset<stored::Answer>> answers;
  if (snapshot.answers != nullptr) {
    for (const session::StoredAnswer& answer : snapshot.answers->oldest_first()) {
      answers.push_back(encoder.answer(answer));
    }
  }
  const auto all_fields = encoder.builder().CreateVector(fields);
  const auto all_answers = encoder.builder().CreateVector(answers);
  const auto model = encoder.model(snapshot.model);
  encoder.finish(snapshot,
                 stored::CreateSnapshot(encoder.builder(), all_fields, all_answers, model), to);
}

void append_commit(const CommitView& commit, std::vector<std::byte>& to) {
  Encoder encoder(bytes_of(commit));
  Offset<stored::Delta> delta;
  if (commit.delta != nullptr) delta = encoder.delta(*commit.delta);
  Offset<stored::Answer> answer;
  if (commit.answer != nullptr) answer = encoder.answer(*commit.answer);
  const auto model = encoder.model(commit.model);
  encoder.finish(commit, stored::CreateCommit(encoder.builder(), delta, answer, model), to);
}

}  // namespace dspool::store
