#include "engine/worker/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "engine/api/value_verifier.h"
#include "engine/worker/verified_root.h"
#include "ipc/layout.h"
#include "schemas/envelope_generated.h"

namespace dspool::worker {
namespace {

// A time that a worker told, which may be anything.
std::int64_t plausible_ns(std::uint64_t told) {
  constexpr std::uint64_t kHourNs = 3'600'000'000'000;
  return static_cast<std::int64_t>(std::min(told, kHourNs));
}

// A count of tokens that a worker told: sums of many such do not overflow.
std::uint64_t plausible_tokens(std::uint64_t told) {
  return std::min<std::uint64_t>(told, 1'000'000'000'000);
}

flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> add_value(
    flatbuffers::FlatBufferBuilder& builder, std::span<const std::uint8_t> value) {
  builder.ForceVectorAlignment(value.size(), sizeof(std::uint8_t), ipc::kValueAlignment);
  return builder.CreateVector(value.data(), value.size());
}

flatbuffers::Offset<flatbuffers::String> add_string(flatbuffers::FlatBufferBuilder& builder,
                                                    std::string_view text) {
  return builder.CreateString(text.data(), text.size());
}

wire::Piece piece_of(const ipc::StateBlock& block, std::size_t bytes) {
  const ipc::StatePlace place = block.place();
  return {place.at, static_cast<std::uint32_t>(bytes), place.extent};
}

wire::Payload payload_at(const ipc::Payload* payload) {
  if (payload == nullptr) return {};
  const ipc::PayloadPlace& place = payload->place();
  return {place.offset, place.bytes, place.generation, place.in_slab};
}

std::string_view view(const flatbuffers::String* text) {
  return text == nullptr ? std::string_view{} : std::string_view(text->c_str(), text->size());
}

std::span<const std::uint8_t> bytes(const flatbuffers::Vector<std::uint8_t>* vector) {
  if (vector == nullptr) return {};
  return {vector->data(), vector->size()};
}

// The values that a delta brings, each verified. Keys and values could share bytes of the record,
// and each would be compared, verified and stored: together they must be no longer than it.
class DeltaReader {
 public:
  DeltaReader(std::size_t record_bytes, std::size_t& expansion_left_bytes) noexcept
      : left_bytes_(record_bytes), expansion_left_bytes_(expansion_left_bytes) {}

  Verified<void> read_fields(const flatbuffers::Vector<flatbuffers::Offset<wire::Field>>* fields,
                             std::vector<session::Delta::Put>& to) {
    if (fields == nullptr) return {};
    for (const wire::Field* field : *fields) {
      const std::string_view key = view(field->key());
      const auto value = bytes(field->value());
      if (!take(key.size()) || !take(value.size())) {
        return tl::unexpected(Violation("fields that are longer than their record"));
      }
      if (!verify_value(value, expansion_left_bytes_)) {
        return tl::unexpected(Violation("a field that does not verify"));
      }
      to.push_back({.key = key, .value = value});
    }
    return {};
  }

  Verified<void> read_keys(
      const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>* keys,
      std::vector<std::string_view>& to) {
    if (keys == nullptr) return {};
    for (const flatbuffers::String* each : *keys) {
      const std::string_view key = view(each);
      if (!take(key.size())) {
        return tl::unexpected(Violation("deleted keys that are longer than their record"));
      }
      to.push_back(key);
    }
    return {};
  }

 private:
  bool take(std::size_t bytes) noexcept {
    if (bytes > left_bytes_) return false;
    left_bytes_ -= bytes;
    return true;
  }

  std::size_t left_bytes_;
  std::size_t& expansion_left_bytes_;
};

// No key occurs twice (puts are sorted by theirs), or the session's size after the delta would be
// another than it says.
Verified<void> check_keys(const session::Delta& delta) {
  using Put = session::Delta::Put;
  if (std::ranges::adjacent_find(delta.puts, std::greater_equal<>(), &Put::key) !=
          delta.puts.end() ||
      std::ranges::adjacent_find(delta.appends, std::equal_to<>(), &Put::key) !=
          delta.appends.end() ||
      std::ranges::adjacent_find(delta.deletes) != delta.deletes.end()) {
    return tl::unexpected(Violation("a delta with a key that stands there twice"));
  }
  if (!delta.deletes.empty()) {
    for (const Put& put : delta.puts) {
      if (std::ranges::binary_search(delta.deletes, put.key)) {
        return tl::unexpected(Violation("a delta that puts and deletes the same key"));
      }
    }
  }
  for (const Put& append : delta.appends) {
    if (std::ranges::binary_search(delta.deletes, append.key) ||
        std::ranges::binary_search(delta.puts, append.key, {}, &Put::key)) {
      return tl::unexpected(Violation("a delta that appends to a key that it puts or deletes"));
    }
  }
  return {};
}

Verified<void> decode_delta(const wire::Delta& wire, std::size_t record_bytes,
                            std::size_t& expansion_left_bytes, session::Delta& delta) {
  DeltaReader reader(record_bytes, expansion_left_bytes);
  if (auto read = reader.read_fields(wire.puts(), delta.puts); !read) return read;
  if (auto read = reader.read_keys(wire.deletes(), delta.deletes); !read) return read;
  if (auto read = reader.read_fields(wire.appends(), delta.appends); !read) return read;
  for (const session::Delta::Put& append : delta.appends) {
    if (session::kind_of(append.value) == session::FieldKind::kOther) {
      return tl::unexpected(Violation("what can be appended to nothing: no list and no text"));
    }
  }
  std::ranges::sort(delta.deletes);
  std::ranges::sort(delta.appends, {}, &session::Delta::Put::key);
  return check_keys(delta);
}

}  // namespace

std::span<const std::byte> RequestEncoder::encode(const Request& request) {
  if (builder_.GetSize() > ipc::kInlineLimitBytes) builder_.Reset();  // it held a long state
  builder_.Clear();
  const ipc::Payload* const long_args =
      request.pins != nullptr ? request.pins->args.get() : nullptr;
  const ipc::Payload* const long_state =
      request.pins != nullptr && request.hydrate ? request.pins->state.get() : nullptr;
  flatbuffers::Offset<wire::SessionState> state;
  if (request.hydrate && long_state == nullptr) state = add_state();
  flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> args;
  if (long_args == nullptr) args = add_value(builder_, request.args);
  const auto session = add_string(builder_, request.session);
  const auto command = add_string(builder_, request.command);
  wire::RequestBuilder builder(builder_);
  builder.add_deadline_ns(static_cast<std::uint64_t>(request.deadline.time_since_epoch().count()));
  builder.add_version(request.state->version());
  builder.add_state_id(request.state->state_id());
  builder.add_command(command);
  builder.add_args(args);
  builder.add_session(session);
  builder.add_state(state);
  const wire::Payload args_at = payload_at(long_args);
  const wire::Payload state_at = payload_at(long_state);
  if (long_args != nullptr) builder.add_args_at(&args_at);
  if (long_state != nullptr) builder.add_state_at(&state_at);
  builder.add_attempt(request.attempt);
  builder.add_lm_version(request.lm_version);
  builder.add_place(request.place);
  builder.add_streams(request.streams);
  builder_.Finish(builder.Finish());
  return std::as_bytes(std::span(builder_.GetBufferPointer(), builder_.GetSize()));
}

std::span<const std::byte> RequestEncoder::encode_state() {
  builder_.Clear();
  builder_.Finish(add_state());
  return std::as_bytes(std::span(builder_.GetBufferPointer(), builder_.GetSize()));
}

void RequestEncoder::refer_to(const session::Record& record) {
  keys_.clear();
  fields_.clear();
  pieces_.clear();
  for (const session::Field& field : record.fields()) {
    keys_ += field.key();
    pieces_.push_back(piece_of(field.base_block(), field.base().size()));
    for (const session::Field::Chunk& chunk : field.chunks()) {
      pieces_.push_back(piece_of(chunk.block, chunk.used_bytes));
    }
    fields_.emplace_back(static_cast<std::uint32_t>(keys_.size()),
                         static_cast<std::uint32_t>(pieces_.size()));
  }
}

std::size_t RequestEncoder::state_bytes() const noexcept {
  constexpr std::size_t kFixedBytes = 96;  // table, lengths and padding
  return kFixedBytes + keys_.size() + fields_.size() * sizeof(wire::FieldRef) +
         pieces_.size() * sizeof(wire::Piece);
}

flatbuffers::Offset<wire::SessionState> RequestEncoder::add_state() {
  const auto pieces = builder_.CreateVectorOfStructs(pieces_);
  const auto fields = builder_.CreateVectorOfStructs(fields_);
  return wire::CreateSessionState(builder_, add_string(builder_, keys_), fields, pieces);
}

std::vector<std::byte> encode_hello(std::uint64_t epoch, std::string_view worker,
                                    const HelloTerms& terms) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateHello(builder, epoch, add_string(builder, worker), terms.max_in_flight,
                                   terms.session_cache, terms.session_cache_bytes,
                                   terms.max_payload_bytes, wire::Protocol::current));
  const auto body = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {body.begin(), body.end()};
}

Verified<void> decode_response(std::span<const std::byte> body, std::uint64_t epoch,
                               Outcome& outcome) {
  const auto* response = verified_root<wire::Response>(body);
  if (response == nullptr) return tl::unexpected(Violation("a response that does not verify"));
  if (response->epoch() != epoch) {
    return tl::unexpected(fmt::format("a response of epoch {}, not {}", response->epoch(), epoch));
  }
  outcome.attempt = response->attempt();
  outcome.service_ns = plausible_ns(response->service_ns());
  outcome.hydration_ns = plausible_ns(response->hydration_ns());
  outcome.not_kept = response->not_kept();
  outcome.usage = {.input_tokens = plausible_tokens(response->input_tokens()),
                   .output_tokens = plausible_tokens(response->output_tokens())};
  outcome.result.clear();
  outcome.delta.clear();
  switch (response->status()) {
    case wire::Status::need_state:
      outcome.status = OutcomeStatus::kNeedState;
      return {};
    case wire::Status::cancelled:
      outcome.status = OutcomeStatus::kCancelled;
      return {};
    case wire::Status::recalled:
      outcome.status = OutcomeStatus::kRecalled;
      return {};
    case wire::Status::error: {
      if (response->error() == nullptr)
        return tl::unexpected(Violation("an error without a report"));
      Verified<Error> error = error_from(*response->error());
      if (!error) return tl::unexpected(error.error());
      outcome.status = OutcomeStatus::kError;
      outcome.error = std::move(*error);
      return {};
    }
    case wire::Status::ok:
      break;
    default:
      return tl::unexpected(Violation("a response of an unknown status"));
  }
  outcome.status = OutcomeStatus::kOk;
  const auto result = bytes(response->result());
  std::size_t expansion_left_bytes = expansion_limit_bytes(body.size());  // of all its values
  if (!verify_value(result, expansion_left_bytes)) {
    return tl::unexpected(Violation("a result that does not verify"));
  }
  outcome.result.assign(result.begin(), result.end());
  if (response->delta() == nullptr) return {};
  return decode_delta(*response->delta(), body.size(), expansion_left_bytes, outcome.delta);
}

Verified<void> decode_chunk(std::span<const std::byte> body, std::uint64_t epoch,
                            ChunkReport& chunk) {
  const auto* wire = verified_root<wire::Chunk>(body);
  if (wire == nullptr) return tl::unexpected(Violation("a chunk that does not verify"));
  if (wire->epoch() != epoch) {
    return tl::unexpected(fmt::format("a chunk of epoch {}, not {}", wire->epoch(), epoch));
  }
  const auto value = bytes(wire->value());
  std::size_t expansion_left_bytes = expansion_limit_bytes(body.size());
  if (!verify_value(value, expansion_left_bytes)) {
    return tl::unexpected(Violation("a chunk whose value does not verify"));
  }
  chunk.attempt = wire->attempt();
  chunk.index = wire->index();
  chunk.value.assign(value.begin(), value.end());
  chunk.record_bytes = body.size();
  return {};
}

Verified<ReadyReport> decode_ready(std::span<const std::byte> body, std::uint64_t epoch) {
  const auto* ready = verified_root<wire::Ready>(body);
  if (ready == nullptr) return tl::unexpected(Violation("a ready that does not verify"));
  if (ready->epoch() != epoch) return tl::unexpected(Violation("a ready of another epoch"));
  return ReadyReport{.python = std::string(view(ready->python())), .protocol = ready->protocol()};
}

Verified<Error> error_from(const wire::ErrorReport& report) {
  const auto category = error_category_from(view(report.category()));
  if (!category) {
    return tl::unexpected(
        fmt::format("an error of the unknown category '{}'", view(report.category())));
  }
  std::optional<std::chrono::milliseconds> retry_after;
  if (report.retry_after_ms() != 0) retry_after.emplace(report.retry_after_ms());
  return Error{.category = *category,
               .code = std::string(view(report.code())),
               .message = std::string(view(report.message())),
               .retryable = report.retryable(),
               .retry_after = retry_after,
               .exception_type = std::string(view(report.exception_type())),
               .traceback = std::string(view(report.traceback())),
               .provider = std::string(view(report.provider()))};
}

Verified<Error> decode_failure(std::span<const std::byte> body, std::uint64_t epoch) {
  const auto* failure = verified_root<wire::Failure>(body);
  if (failure == nullptr) return tl::unexpected(Violation("a failure that does not verify"));
  if (failure->epoch() != epoch) return tl::unexpected(Violation("a failure of another epoch"));
  return error_from(*failure->error());
}

}  // namespace dspool::worker
