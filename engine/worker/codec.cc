#include "engine/worker/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "engine/api/value_verifier.h"
#include "ipc/layout.h"
#include "schemas/envelope_generated.h"

namespace dspool::worker {
namespace {

// A response nests four tables deep; the smallest field takes 24 bytes of a record.
constexpr flatbuffers::uoffset_t kMaxDepth = 8;
constexpr std::size_t kLeastTableBytes = 24;

flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> add_value(
    flatbuffers::FlatBufferBuilder& builder, std::span<const std::uint8_t> value) {
  builder.ForceVectorAlignment(value.size(), sizeof(std::uint8_t), ipc::kValueAlignment);
  return builder.CreateVector(value.data(), value.size());
}

flatbuffers::Offset<flatbuffers::String> add_string(flatbuffers::FlatBufferBuilder& builder,
                                                    std::string_view text) {
  return builder.CreateString(text.data(), text.size());
}

flatbuffers::Offset<wire::SessionRecord> add_state(flatbuffers::FlatBufferBuilder& builder,
                                                   std::string_view id,
                                                   const session::Record& record) {
  std::vector<flatbuffers::Offset<wire::Field>> fields;
  fields.reserve(record.fields().size());
  for (const session::Field& field : record.fields()) {
    const auto value = add_value(builder, field.value);
    fields.push_back(wire::CreateField(builder, add_string(builder, field.key), value));
  }
  const auto all = builder.CreateVector(fields);
  const auto name = add_string(builder, id);
  return wire::CreateSessionRecord(builder, 1, name, record.version(), record.state_id(), all);
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

template <typename T>
const T* verified_root(std::span<const std::byte> body) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(body.data());
  const auto most_tables =
      static_cast<flatbuffers::uoffset_t>(body.size() / kLeastTableBytes + kMaxDepth);
  flatbuffers::Verifier verifier(data, body.size(), kMaxDepth, most_tables);
  return verifier.VerifyBuffer<T>(nullptr) ? flatbuffers::GetRoot<T>(data) : nullptr;
}

Verified<Error> error_from(const wire::ErrorReport& report) {
  const auto category = error_category_from(view(report.category()));
  if (!category) {
    return tl::unexpected(
        fmt::format("an error of the unknown category '{}'", view(report.category())));
  }
  return Error{.category = *category,
               .code = std::string(view(report.code())),
               .message = std::string(view(report.message())),
               .retryable = report.retryable(),
               .exception_type = std::string(view(report.exception_type())),
               .traceback = std::string(view(report.traceback()))};
}

// No key occurs twice (puts are sorted by theirs), or the session's size after the delta would be
// another than it says. Keys and values could share bytes of the record, and each would be
// compared, verified and stored: together they must be no longer than it.
Verified<void> decode_delta(const wire::Delta& wire, std::size_t record_bytes,
                            std::size_t& expansion_left_bytes, session::Delta& delta) {
  std::size_t left_bytes = record_bytes;
  const auto take = [&left_bytes](std::size_t bytes) {
    if (bytes > left_bytes) return false;
    left_bytes -= bytes;
    return true;
  };
  if (wire.puts() != nullptr) {
    for (const wire::Field* put : *wire.puts()) {
      const std::string_view key = view(put->key());
      const auto value = bytes(put->value());
      if (!take(key.size()) || !take(value.size())) {
        return tl::unexpected(Violation("fields that are longer than their record"));
      }
      if (!verify_value(value, expansion_left_bytes)) {
        return tl::unexpected(Violation("a field that does not verify"));
      }
      delta.puts.push_back({.key = key, .value = value});
    }
  }
  if (wire.deletes() != nullptr) {
    for (const flatbuffers::String* deleted : *wire.deletes()) {
      const std::string_view key = view(deleted);
      if (!take(key.size())) {
        return tl::unexpected(Violation("deleted keys that are longer than their record"));
      }
      delta.deletes.push_back(key);
    }
  }
  std::ranges::sort(delta.deletes);
  if (std::ranges::adjacent_find(delta.puts, std::greater_equal<>(), &session::Delta::Put::key) !=
          delta.puts.end() ||
      std::ranges::adjacent_find(delta.deletes) != delta.deletes.end()) {
    return tl::unexpected(Violation("a delta with a key that stands there twice"));
  }
  for (const session::Delta::Put& put : delta.puts) {
    if (std::ranges::binary_search(delta.deletes, put.key)) {
      return tl::unexpected(Violation("a delta that puts and deletes the same key"));
    }
  }
  return {};
}

}  // namespace

std::span<const std::byte> RequestEncoder::encode(const Request& request) {
  if (builder_.GetSize() > ipc::kInlineLimitBytes) builder_.Reset();  // it held a long state
  builder_.Clear();
  const ipc::Payload* const long_args =
      request.pins != nullptr ? request.pins->args.get() : nullptr;
  const ipc::Payload* const long_state =
      request.pins != nullptr && request.hydrate ? request.pins->state.get() : nullptr;
  flatbuffers::Offset<wire::SessionRecord> state;
  if (request.hydrate && long_state == nullptr) {
    state = add_state(builder_, request.session, *request.state);
  }
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
  builder_.Finish(builder.Finish());
  return std::as_bytes(std::span(builder_.GetBufferPointer(), builder_.GetSize()));
}

std::span<const std::byte> RequestEncoder::encode_state(std::string_view session,
                                                        const session::Record& record) {
  builder_.Clear();
  builder_.Finish(add_state(builder_, session, record));
  return std::as_bytes(std::span(builder_.GetBufferPointer(), builder_.GetSize()));
}

std::size_t encoded_bytes(const session::Record& record) noexcept {
  constexpr std::size_t kFieldOverheadBytes = 64;  // table and padding around key and value
  return record.bytes() + record.fields().size() * kFieldOverheadBytes;
}

std::vector<std::byte> encode_hello(std::uint64_t epoch, std::string_view worker,
                                    const HelloTerms& terms) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateHello(builder, epoch, add_string(builder, worker), terms.max_in_flight,
                                   terms.session_cache, terms.max_payload_bytes));
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
  outcome.service_ns = std::clamp<std::int64_t>(static_cast<std::int64_t>(response->service_ns()),
                                                0, std::int64_t{3'600'000'000'000});
  outcome.result.clear();
  outcome.delta.clear();
  switch (response->status()) {
    case wire::Status::need_state:
      outcome.status = OutcomeStatus::kNeedState;
      return {};
    case wire::Status::cancelled:
      outcome.status = OutcomeStatus::kCancelled;
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

Verified<ReadyReport> decode_ready(std::span<const std::byte> body, std::uint64_t epoch) {
  const auto* ready = verified_root<wire::Ready>(body);
  if (ready == nullptr) return tl::unexpected(Violation("a ready that does not verify"));
  if (ready->epoch() != epoch) return tl::unexpected(Violation("a ready of another epoch"));
  return ReadyReport{.python = std::string(view(ready->python()))};
}

Verified<Error> decode_failure(std::span<const std::byte> body, std::uint64_t epoch) {
  const auto* failure = verified_root<wire::Failure>(body);
  if (failure == nullptr) return tl::unexpected(Violation("a failure that does not verify"));
  if (failure->epoch() != epoch) return tl::unexpected(Violation("a failure of another epoch"));
  return error_from(*failure->error());
}

}  // namespace dspool::worker
