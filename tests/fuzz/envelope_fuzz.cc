// What a worker sent, read as each type of record that it may claim to be: refused, or readable
// to its end, with views that stay inside it and a delta that can be applied.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "dspool/value.h"
#include "engine/session/record.h"
#include "engine/worker/codec.h"
#include "ipc/state_segment.h"
#include "tests/fuzz/epoch.h"
#include "tests/fuzz/read_whole.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/work.h"

namespace dspool::fuzz {
namespace {

using Body = std::span<const std::byte>;

// A record's values may be shared within it: each counts 64 times its length, and 1 MiB together.
constexpr std::uint64_t kStepsPerByte = 2'000;
constexpr std::uint64_t kFixedSteps = 20'000'000;

template <typename T>
void require_inside(Body body, std::span<const T> view) {
  const auto bytes = std::as_bytes(view);
  require(bytes.empty() || (bytes.data() >= body.data() &&
                            bytes.data() + bytes.size() <= body.data() + body.size()),
          "what a delta refers to lies inside its record");
}

void read_error(const Error& error) {
  require(!to_string(error.category).empty(), "an error has a category");
  require(!error.describe().empty(), "an error can be told");
}

void read_values(Body body, std::span<const session::Delta::Put> puts) {
  for (const session::Delta::Put& put : puts) {
    require_inside<char>(body, put.key);
    require_inside(body, put.value);
    static_cast<void>(read_whole(Value::from_verified({put.value.begin(), put.value.end()})));
  }
}

// All appends are to what they can be appended to.
void make_appendable(session::Record& record, const session::Delta& delta,
                     ipc::StateSegment& segment) {
  session::Delta before;
  const Value list = Value::list({1});
  const Value text = Value::of("text");
  for (const session::Delta::Put& append : delta.appends) {
    const bool is_list = session::kind_of(append.value) == session::FieldKind::kList;
    before.puts.push_back({.key = append.key, .value = (is_list ? list : text).bytes()});
    require(!record.can_append(append.key, append.value), "nothing is appended to nothing");
  }
  auto staged = record.stage(before, segment, 0);
  require(staged.has_value(), "there is memory");
  record.apply(before, *std::move(staged), 8);
}

void read_delta(Body body, session::Delta& delta) {
  read_values(body, delta.puts);
  read_values(body, delta.appends);
  for (const std::string_view key : delta.deletes) require_inside<char>(body, key);

  static ipc::StateSegment segment(std::size_t{256} << 20);  // costs more to make than all else
  session::Record record;
  make_appendable(record, delta, segment);
  for (int times = 1; times <= 2; ++times) {
    require(record.can_append_all(delta), "what was appended once can be appended again");
    session::prepare(delta, segment, 0);
    const std::size_t bytes = record.bytes_after(delta);
    auto staged = record.stage(delta, segment, 0);
    require(staged.has_value(), "there is memory");
    record.apply(delta, *std::move(staged), 9);
    for (session::Delta::Put& put : delta.puts) put.placed = {};
    require(record.bytes() == bytes, "a session is as large as was foreseen");
    require(record.fields().size() == delta.puts.size() + delta.appends.size(),
            "each key is put once");
  }
  for (const session::Delta::Put& put : delta.puts) {
    const session::Field* field = record.find(put.key);
    require(field != nullptr && std::ranges::equal(field->base(), put.value), "a put is found");
  }
  for (const session::Field& field : record.fields()) {
    static_cast<void>(read_whole(field.value()));
  }
}

void read_response(Body body) {
  worker::Outcome outcome{.status = worker::OutcomeStatus::kOk,  // of the attempt before
                          .attempt = 3,
                          .result = {1, 2, 3},
                          .delta = {},
                          .bytes = nullptr,
                          .error = {},
                          .service_ns = -1,
                          .not_kept = true,
                          .usage = {}};
  outcome.delta.puts.push_back({.key = "old", .value = {}});
  outcome.delta.deletes.emplace_back("older");
  outcome.delta.appends.push_back({.key = "oldest", .value = {}});
  const Work work;
  const auto decoded = worker::decode_response(body, kEpoch, outcome);
  work.require_linear("decoding a response", body.size(), kStepsPerByte, kFixedSteps);
  if (!decoded) return require(!decoded.error().empty(), "a refusal says why");
  require(outcome.service_ns >= 0, "time does not run backwards");
  if (outcome.status == worker::OutcomeStatus::kError) read_error(outcome.error);
  if (outcome.status == worker::OutcomeStatus::kOk) {
    static_cast<void>(read_whole(Value::from_verified(outcome.result)));
    read_delta(body, outcome.delta);
  } else {
    require(outcome.result.empty() && outcome.delta.empty(), "what failed changes nothing");
  }
}

void read_chunk(Body body) {
  worker::ChunkReport chunk{.attempt = 3, .index = 4, .value = {1, 2, 3}, .record_bytes = 5};
  const Work work;
  const auto decoded = worker::decode_chunk(body, kEpoch, chunk);
  work.require_linear("decoding a chunk", body.size(), kStepsPerByte, kFixedSteps);
  if (!decoded) return require(!decoded.error().empty(), "a refusal says why");
  require(chunk.record_bytes == body.size(), "a chunk counts with its whole record");
  static_cast<void>(read_whole(Value::from_verified(chunk.value)));
}

void read_others(Body body) {
  const Work work;
  const auto ready = worker::decode_ready(body, kEpoch);
  const auto failure = worker::decode_failure(body, kEpoch);
  work.require_linear("decoding ready and failure", body.size(), kStepsPerByte, 20'000);
  if (!ready) require(!ready.error().empty(), "a refusal says why");
  if (failure) {
    read_error(*failure);
  } else {
    require(!failure.error().empty(), "a refusal says why");
  }
}

}  // namespace
}  // namespace dspool::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const std::vector<std::byte> body(bytes.begin(), bytes.end());  // private, aligned, no longer
  dspool::fuzz::read_response(body);
  dspool::fuzz::read_chunk(body);
  dspool::fuzz::read_others(body);
  return 0;
}
