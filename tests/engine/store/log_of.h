// Logs as an engine writes them, put together commit by commit.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/value.h"
#include "engine/store/stored_record.h"
#include "ipc/value_sequence.h"
#include "tests/support/make_delta.h"

namespace dspool::store {

inline std::vector<std::uint8_t> bytes_of(const Value& value) {
  return {value.bytes().begin(), value.bytes().end()};
}

class Log {
 public:
  Log& put(std::string_view key, const Value& value) {
    return commit(test::make_delta({{key, value.bytes()}}));
  }
  Log& append(std::string_view key, const Value& value) {
    return commit(test::make_delta({}, {{key, value.bytes()}}));
  }
  Log& erase(std::string_view key) { return commit(test::make_delta({}, {}, {key})); }
  Log& commit(const session::Delta& delta, const session::StoredAnswer* answer = nullptr) {
    ++version_;
    append_commit({.version = version_,
                   .state_id = 100 + version_,
                   .operations = ++operations_,
                   .delta = &delta,
                   .answer = answer},
                  bytes_);
    return *this;
  }
  // With an empty name: it has none any more.
  Log& model(const session::ModelReference& model) {
    const session::Delta nothing;
    append_commit({.version = ++version_,
                   .state_id = 100 + version_,
                   .operations = ++operations_,
                   .delta = &nothing,
                   .answer = nullptr,
                   .model = &model},
                  bytes_);
    return *this;
  }
  Log& answer(const session::StoredAnswer& answer) {
    append_commit({.version = version_,
                   .state_id = 100 + version_,
                   .operations = ++operations_,
                   .delta = nullptr,
                   .answer = &answer},
                  bytes_);
    return *this;
  }
  Log& snapshot(std::uint64_t version, const std::vector<FieldView>& fields,
                const session::StoredAnswers* answers = nullptr,
                const session::ModelReference* model = nullptr) {
    version_ = version;
    append_snapshot({.version = version,
                     .state_id = 100 + version,
                     .operations = operations_,
                     .fields = fields,
                     .answers = answers,
                     .model = model},
                    bytes_);
    return *this;
  }

  [[nodiscard]] const std::vector<std::byte>& bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::string text() const {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }

 private:
  std::vector<std::byte> bytes_;
  std::uint64_t version_ = 0;
  std::uint64_t operations_ = 0;
};

inline const StoredField* find_field(const StoredState& state, std::string_view key) {
  for (const StoredField& field : state.fields) {
    if (field.key == key) return &field;
  }
  return nullptr;
}

inline std::vector<Value> appended_to(const StoredField& field) {
  std::vector<Value> values;
  ipc::ValueSequence sequence(field.appended);
  while (const auto value = sequence.next()) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(value->data());
    values.push_back(Value::from_verified({bytes, bytes + value->size()}));
  }
  return values;
}

}  // namespace dspool::store
