// Writes where the fuzzer begins: `fuzz_corpus FOLDER` makes FOLDER/<target>/<name>. Values and
// envelopes are made by real encoders, so that a change of the wire format changes them, too.
#include <flatbuffers/flexbuffers.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dspool/value.h"
#include "engine/store/frame.h"
#include "engine/store/stored_record.h"
#include "engine/worker/codec.h"
#include "schemas/envelope_generated.h"
#include "tests/fuzz/epoch.h"
#include "tests/support/make_delta.h"

namespace dspool::fuzz {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Named = std::pair<std::string, Bytes>;

Bytes bytes_of(const Value& value) { return {value.bytes().begin(), value.bytes().end()}; }

template <typename Build>
Bytes encoded(Build build, flexbuffers::BuilderFlag flags = flexbuffers::BUILDER_FLAG_SHARE_KEYS) {
  flexbuffers::Builder builder(256, flags);
  build(builder);
  builder.Finish();
  return builder.GetBuffer();
}

// Each list holds the one before twice: few bytes, 2^times elements.
Bytes doubled(int times) {
  return encoded([times](flexbuffers::Builder& builder) {
    builder.Vector([&] { builder.Int(1); });
    for (int i = 0; i < times; ++i) {
      builder.ReuseValue(builder.LastValue());
      builder.EndVector(0, false, false);
    }
  });
}

Bytes nested(int depth) {
  return encoded([depth](flexbuffers::Builder& builder) {
    builder.Int(1);
    for (int i = 0; i < depth; ++i) builder.EndVector(0, false, false);
  });
}

// Kinds of vectors and numbers that no encoder of ours writes.
Bytes foreign() {
  return encoded([](flexbuffers::Builder& builder) {
    builder.Map([&] {
      builder.UInt("uint max", UINT64_MAX);
      builder.IndirectInt("indirect int", INT64_MIN);
      builder.IndirectFloat("indirect float", 2.5F);
      builder.Key("key");
      builder.Key("word");
      const std::int16_t ints[] = {-1, 300};
      const double doubles[] = {0.5, 0.1};
      const float floats[] = {0.5F, 1.5F, 2.5F, 3.5F};
      builder.Vector("ints", ints, 2);
      builder.Vector("doubles", doubles, 2);
      builder.FixedTypedVector("floats", floats, 4);
      builder.TypedVector("bools", [&] { builder.Bool(true); });
      builder.TypedVector("keys", [&] { builder.Key("a"); });
    });
  });
}

std::vector<Named> values() {
  const Value conversation{{"question", "What is shared memory?"},
                           {"history", Value::list({Value{{"role", "user"}, {"text", "h\xC3\xA9"}},
                                                    Value{{"role", "tool"}, {"text", ""}}})},
                           {"options", {{"k", 3}, {"temperature", 0.25}, {"stream", false}}},
                           {"image", std::as_bytes(std::span("\x01\x02\xFF", 3))},
                           {"seed", nullptr}};
  Bytes many_keys = encoded([](flexbuffers::Builder& builder) {
    builder.Map([&] {
      for (int i = 100; i < 160; ++i) builder.Int(std::to_string(i).c_str(), i * i * i);
    });
  });
  return {{"null", bytes_of(Value::of(nullptr))},
          {"int", bytes_of(Value::of(-70'000))},
          {"double", bytes_of(Value::of(0.1))},
          {"text", bytes_of(Value::of("text"))},
          {"empty_map", bytes_of(Value())},
          {"conversation", bytes_of(conversation)},
          {"wide", bytes_of(Value::list({Value::of(std::string(300, 's')), INT64_MAX, 1}))},
          {"many_keys", std::move(many_keys)},
          {"foreign", foreign()},
          {"nested", nested(64)},
          {"nested_too_deep", nested(65)},
          {"shared", doubled(8)},
          {"shared_as_far_as_allowed", doubled(17)},
          {"shared_without_end", doubled(40)}};
}

// ---- envelopes ----

struct Change {
  std::vector<Named> puts = {};
  std::vector<std::string> deletes = {};
  std::vector<Named> appends = {};
  bool share = false;  // equal values and equal keys are written once
};

Bytes finished(flatbuffers::FlatBufferBuilder& builder) {
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

Bytes response(const Bytes& result, const Change& change) {
  flatbuffers::FlatBufferBuilder builder;
  const auto add = [&](const Bytes& value) {
    builder.ForceVectorAlignment(value.size(), 1, ipc::kValueAlignment);
    return builder.CreateVector(value);
  };
  flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> shared;
  const auto add_fields = [&](const std::vector<Named>& fields) {
    std::vector<flatbuffers::Offset<wire::Field>> added;
    for (const auto& [key, value] : fields) {
      if (shared.IsNull() || !change.share) shared = add(value);
      added.push_back(wire::CreateField(builder, builder.CreateString(key), shared));
    }
    return builder.CreateVector(added);
  };
  const auto puts = add_fields(change.puts);
  const auto appends = add_fields(change.appends);
  std::vector<flatbuffers::Offset<flatbuffers::String>> deletes;
  for (const std::string& key : change.deletes) {
    deletes.push_back(change.share ? builder.CreateSharedString(key) : builder.CreateString(key));
  }
  const auto delta = wire::CreateDelta(builder, puts, builder.CreateVector(deletes), appends);
  builder.Finish(
      wire::CreateResponse(builder, kEpoch, 1, wire::Status::ok, add(result), delta, 0, 1'000));
  return finished(builder);
}

Bytes status(wire::Status status) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateResponse(builder, kEpoch, 2, status));
  return finished(builder);
}

flatbuffers::Offset<wire::ErrorReport> error_report(flatbuffers::FlatBufferBuilder& builder) {
  return wire::CreateErrorReportDirect(builder, "python", "command_failed", "it raised",
                                       "ValueError", "Traceback (most recent call last):", true);
}

Bytes error() {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateResponse(builder, kEpoch, 1, wire::Status::error, 0, 0,
                                      error_report(builder), 5));
  return finished(builder);
}

Bytes chunk(const Bytes& value) {
  flatbuffers::FlatBufferBuilder builder;
  builder.ForceVectorAlignment(value.size(), 1, ipc::kValueAlignment);
  const auto bytes = builder.CreateVector(value);
  builder.Finish(wire::CreateChunk(builder, kEpoch, 1, 3, bytes));
  return finished(builder);
}

Bytes ready() {
  flatbuffers::FlatBufferBuilder builder;
  const std::vector<flatbuffers::Offset<flatbuffers::String>> commands{
      builder.CreateString("echo"), builder.CreateString("increment")};
  builder.Finish(wire::CreateReadyDirect(builder, kEpoch, "3.11 /usr/bin/python3", &commands));
  return finished(builder);
}

Bytes failure() {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateFailure(builder, kEpoch, error_report(builder)));
  return finished(builder);
}

std::vector<Named> envelopes() {
  const Bytes small = bytes_of(Value::of(7));
  const Change sharing_keys{.deletes = std::vector<std::string>(2'000, std::string(8'000, 'k')),
                            .share = true};
  const std::vector<Named> appends{{"list", bytes_of(Value::list({1, "two"}))},
                                   {"text", bytes_of(Value::of("more of it"))}};
  const std::vector<Named> same_key{{"a", bytes_of(Value::list({1}))}};
  Change sharing_without_end;
  for (int i = 100; i < 150; ++i) {
    sharing_without_end.puts.emplace_back(std::to_string(i), doubled(17));
  }
  return {{"result", response(bytes_of(Value{{"answer", 42}}), {})},
          {"delta", response(small, {.puts = {{"a", small}, {"b", bytes_of(Value{{"c", 1}})}},
                                     .deletes = {"x", "y"}})},
          {"appends", response(small, {.puts = {{"a", small}}, .appends = appends})},
          {"append_of_a_number", response(small, {.appends = {{"a", small}}})},
          {"append_to_a_put", response(small, {.puts = {{"a", small}}, .appends = same_key})},
          {"key_twice", response(small, {.puts = {{"a", small}, {"a", small}}})},
          {"shared_value", response(small, {.puts = {{"a", small}, {"b", small}}, .share = true})},
          {"shared_keys", response(small, sharing_keys)},
          {"shared_without_end", response(small, sharing_without_end)},
          {"chunk", chunk(bytes_of(Value{{"text", "the next token"}}))},
          {"chunk_without_end", chunk(doubled(17))},
          {"need_state", status(wire::Status::need_state)},
          {"cancelled", status(wire::Status::cancelled)},
          {"error", error()},
          {"ready", ready()},
          {"failure", failure()}};
}

// ---- logs ----

// Each record's body after its length, as the target takes them.
Bytes bodies(const std::vector<std::byte>& log) {
  Bytes all;
  store::FrameReader frames(log);
  while (!frames.at_end()) {
    const auto body = frames.next();
    if (!body) break;
    all.push_back(static_cast<std::uint8_t>(body->size()));
    all.push_back(static_cast<std::uint8_t>(body->size() >> 8));
    all.insert(all.end(), body->begin(), body->end());
  }
  return all;
}

std::vector<Named> logs() {
  const Bytes list = bytes_of(Value::list({1, "two"}));
  const Bytes text = bytes_of(Value::of(std::string(3'000, 't')));
  const Bytes shared = doubled(8);
  std::vector<std::byte> commits;
  const session::Delta puts = test::make_delta({{"list", list}, {"text", text}});
  const session::Delta appends =
      test::make_delta({{"more", shared}}, {{"list", list}, {"text", text}}, {"gone"});
  const session::StoredAnswer answer{
      .key = "key", .asked = {.low = 1, .high = 2}, .value = list, .version = 2, .stored = {}};
  store::append_commit({.version = 1, .state_id = 1, .operations = 1, .delta = &puts}, commits);
  store::append_commit(
      {.version = 2, .state_id = 2, .operations = 2, .delta = &appends, .answer = &answer},
      commits);
  std::vector<std::byte> snapshot;
  session::StoredAnswers answers;
  answers.store(answer);
  const auto state = store::read_log(commits);
  store::SnapshotView view{
      .version = 2, .state_id = 2, .operations = 2, .fields = {}, .answers = &answers};
  for (const store::StoredField& field : state->fields) {
    view.fields.push_back({.key = field.key, .base = field.base, .appended = {field.appended}});
  }
  store::append_snapshot(view, snapshot);
  Bytes whole(commits.size());
  std::memcpy(whole.data(), commits.data(), commits.size());
  return {
      {"whole", std::move(whole)}, {"commits", bodies(commits)}, {"snapshot", bodies(snapshot)}};
}

// ---- the others ----

std::vector<Named> texts() {
  const auto bytes = [](std::string_view text) { return Bytes(text.begin(), text.end()); };
  std::string keys = "{";
  for (int i = 0; i < 300; ++i) keys += '"' + std::string(i % 10 == 0 ? 200 : 1, 'k') + "\":0,";
  keys += "\"z\":1}";
  return {{"literals", bytes("[true, false, null]")},
          {"numbers", bytes("[0, -1, 9223372036854775807, 1e-7, 0.1, 1.7976931348623157e308]")},
          {"escapes", bytes(R"(["\u0041\ud83d\ude00\"\\\/\b\f\n\r\t\u0000"])")},
          {"map", bytes(R"({"question": "h)"
                        "\xC3\xA9"
                        R"(", "options": {"k": 3, "k": 4}})")},
          {"same_keys", bytes(keys)},
          {"nested", bytes(std::string(64, '[') + std::string(64, ']'))},
          {"digits", bytes(std::string(400, '9') + "." + std::string(400, '9') + "e-300")}};
}

// Ops of the ring's and the channel's targets; what is not meant is skipped by what follows.
std::vector<Named> scripts() {
  Bytes records{1};
  for (int i = 0; i < 8; ++i) records.insert(records.end(), {2, 1, 0xFF, 0xAF, 1, 0, 1, 0});
  Bytes wrap{1};
  for (int i = 0; i < 5; ++i) wrap.insert(wrap.end(), {2, 1, 0x00, 0xAF, 1, 0});
  wrap.insert(wrap.end(), {2, 2, 2, 0, 16, 0, 1, 1, 0, 1, 0});
  Bytes writing{0};
  for (int i = 0; i < 8; ++i) writing.insert(writing.end(), {1, 0xFF, 0xAF, 2, 3, 0});
  return {{"records", records},
          {"wrap", wrap},
          {"writing", writing},
          {"small_records", {1, 2, 0, 16, 0, 33, 1, 0, 2, 0, 1, 0, 34, 1, 0, 1, 0}},
          {"tail_that_lies", {1, 2, 0, 16, 0, 33, 1, 7, 3, 255, 255, 255, 255, 255, 255, 255, 255}},
          {"header_that_lies", {1, 2, 3, 16, 255, 255, 255, 255, 1, 0, 0, 0, 1, 0, 1, 0}},
          {"channel", {2, 0, 16, 0, 33, 0, 0, 4, 16, 0, 6, 4, 16, 0, 5, 0, 1, 0, 4, 255, 255}},
          {"channel_of_another_epoch", {7, 2, 6, 0, 0, 0, 2, 0, 16, 0, 33, 0}}};
}

bool write(const std::filesystem::path& folder, const std::vector<Named>& inputs) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, bytes] : inputs) {
    std::ofstream file(folder / name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) return false;
  }
  return true;
}

}  // namespace
}  // namespace dspool::fuzz

int main(int argument_count, char** arguments) {
  using namespace dspool::fuzz;  // NOLINT(google-build-using-namespace)
  if (argument_count != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
    return 2;
  }
  const std::filesystem::path folder = arguments[1];
  const bool written = write(folder / "value", values()) &&
                       write(folder / "envelope", envelopes()) && write(folder / "json", texts()) &&
                       write(folder / "ring", scripts()) && write(folder / "channel", scripts()) &&
                       write(folder / "store", logs());
  if (!written) std::perror(arguments[1]);
  return written ? 0 : 1;
}
