#include "tests/python_worker/worker_harness.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <span>
#include <stdexcept>

#include "engine/api/value_verifier.h"
#include "schemas/control_generated.h"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace dspool::python {
namespace {

// A hang becomes a failure after this. Nothing waits for it otherwise.
constexpr int kWatchdogMs = 60'000;

std::vector<std::string> environment() {
  std::string path = std::string("PYTHONPATH=") + DSPOOL_TEST_ADAPTERS;
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (text.starts_with("PYTHONPATH=")) {
      path += ":" + text.substr(text.find('=') + 1);
    } else {
      variables.push_back(text);
    }
  }
  variables.push_back(path);
  return variables;
}

std::string python() {
  const char* named = std::getenv("DSPOOL_PYTHON");  // NOLINT(concurrency-mt-unsafe)
  if (named == nullptr) throw std::runtime_error("DSPOOL_PYTHON names no interpreter");
  return named;
}

template <typename T>
T value_or_throw(ipc::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().what);
  return std::move(*result);
}

template <typename Table>
bool verify(const std::vector<std::uint8_t>& body) {
  flatbuffers::Verifier verifier(body.data(), body.size());
  return verifier.VerifyBuffer<Table>();
}

bool verify(const flatbuffers::Vector<std::uint8_t>& value) {
  return reinterpret_cast<std::uintptr_t>(value.data()) % 8 == 0 &&
         verify_value({value.data(), value.size()});
}

bool verify(const Reply& reply) {
  switch (reply.type) {
    case wire::MessageType::ready:
      return verify<wire::Ready>(reply.body);
    case wire::MessageType::failure:
      return verify<wire::Failure>(reply.body);
    case wire::MessageType::pong:
      return reply.body.empty();
    case wire::MessageType::chunk:
      return verify<wire::Chunk>(reply.body) && verify(*reply.chunk().value());
    case wire::MessageType::response:
      break;
    default:
      return false;
  }
  if (!verify<wire::Response>(reply.body)) return false;
  const wire::Response& response = reply.response();
  if (response.result() != nullptr && !verify(*response.result())) return false;
  if (response.delta() == nullptr) return true;
  for (const auto* fields : {response.delta()->puts(), response.delta()->appends()}) {
    if (fields == nullptr) continue;
    for (const wire::Field* field : *fields) {
      if (!verify(*field->value())) return false;
    }
  }
  return true;
}

std::string json_of(const flatbuffers::Vector<std::uint8_t>& value) {
  std::string text;
  flexbuffers::GetRoot(value.data(), value.size()).ToString(true, true, text);
  return text;
}

bool readable(int descriptor) {
  pollfd watched{.fd = descriptor, .events = POLLIN, .revents = 0};
  return ::poll(&watched, 1, kWatchdogMs) > 0;
}

}  // namespace

std::vector<std::uint8_t> flex_map(const Fill& fill) {
  return flex_value([&](flexbuffers::Builder& builder) {
    const std::size_t start = builder.StartMap();
    fill(builder);
    builder.EndMap(start);
  });
}

std::vector<std::uint8_t> flex_value(const Fill& add) {
  flexbuffers::Builder builder;
  add(builder);
  builder.Finish();
  return builder.GetBuffer();
}

std::vector<std::uint8_t> uint_args(const char* name, std::uint64_t value) {
  return flex_map([&](flexbuffers::Builder& map) { map.UInt(name, value); });
}

std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

const wire::Response& Reply::response() const {
  return *flatbuffers::GetRoot<wire::Response>(body.data());
}

const wire::Chunk& Reply::chunk() const {
  if (type != wire::MessageType::chunk) throw std::runtime_error("this is no chunk");
  return *flatbuffers::GetRoot<wire::Chunk>(body.data());
}

std::string Reply::chunk_json() const { return json_of(*chunk().value()); }

const wire::ErrorReport& Reply::error() const {
  const auto* report = type == wire::MessageType::failure
                           ? flatbuffers::GetRoot<wire::Failure>(body.data())->error()
                           : response().error();
  if (report == nullptr) throw std::runtime_error("there is no error");
  return *report;
}

flexbuffers::Reference Reply::result() const {
  if (response().result() == nullptr) {
    const auto* report = response().error();
    throw std::runtime_error(report == nullptr ? "no result" : report->message()->str());
  }
  return flexbuffers::GetRoot(response().result()->data(), response().result()->size());
}

std::string Reply::result_json() const {
  std::string text;
  result().ToString(true, true, text);
  return text;
}

std::string Reply::delta_text() const {
  std::string text;
  const auto add = [&](const std::string& change) { text += (text.empty() ? "" : ", ") + change; };
  const wire::Delta* delta = response().delta();
  if (delta == nullptr) return text;
  if (delta->puts() != nullptr) {
    for (const wire::Field* put : *delta->puts()) {
      add("put " + put->key()->str() + "=" + json_of(*put->value()));
    }
  }
  if (delta->deletes() != nullptr) {
    for (const flatbuffers::String* key : *delta->deletes()) add("delete " + key->str());
  }
  if (delta->appends() != nullptr) {
    for (const wire::Field* append : *delta->appends()) {
      add("append " + append->key()->str() + "=" + json_of(*append->value()));
    }
  }
  return text;
}

WorkerHarness::WorkerHarness(const WorkerOptions& options)
    : channel_(value_or_throw(ipc::EngineChannel::create(
          kEpoch, {.request_bytes = options.ring_bytes, .response_bytes = options.ring_bytes}))),
      process_(value_or_throw(ipc::ChildProcess::spawn(
          {.program = python(),
           .arguments = {"-m", "dspool_worker", "--adapter", options.adapter},
           .environment = environment(),
           .descriptors = channel_->child_descriptors()}))) {
  channel_->close_child_ends();
  channel_->announce(ipc::Receiver::kCaller);
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateHello(
      builder, kEpoch, builder.CreateString("worker-0"), options.max_in_flight,
      options.session_cache, options.session_cache_bytes, ipc::kValueLimitBytes, options.protocol));
  send_bytes(wire::MessageType::hello, 0, {builder.GetBufferPointer(), builder.GetSize()});
  first_ = receive();
}

WorkerHarness::~WorkerHarness() = default;

std::uint64_t WorkerHarness::send(const Call& call, bool late) {
  flatbuffers::FlatBufferBuilder builder;
  flatbuffers::Offset<wire::SessionState> state;
  if (call.state) state = state_.write(*call.state, builder);
  if (call.state && !late) hand_over();
  builder.ForceVectorAlignment(call.args.size(), 1, 8);
  const auto args = builder.CreateVector(call.args);
  builder.Finish(wire::CreateRequest(builder, builder.CreateString(call.command), args,
                                     /*args_at=*/nullptr, builder.CreateString(call.session),
                                     call.attempt, call.version, call.state_id, state,
                                     /*state_at=*/nullptr, call.deadline_ns, call.lm_version,
                                     call.place, call.streams));
  channel_->clear_attention(call.place);
  const std::uint64_t request_id = next_request_id_++;
  send_bytes(wire::MessageType::request, request_id,
             {builder.GetBufferPointer(), builder.GetSize()}, call.recalled);
  if (call.state && late) hand_over();
  return request_id;
}

void WorkerHarness::hand_over() {
  for (const HandedState::Handed& handed : state_.to_hand_over()) {
    const auto sent =
        channel_->send_control(std::as_bytes(std::span(&handed.what, 1)), handed.memfd.get());
    if (!sent) throw std::runtime_error(sent.error().what);
  }
}

void WorkerHarness::send(wire::MessageType type, std::uint64_t request_id) {
  send_bytes(type, request_id, {});
}

void WorkerHarness::send_language_model(std::uint64_t version, const std::string& model,
                                        const std::string& api_key,
                                        const std::vector<std::uint64_t>& forget) {
  flatbuffers::FlatBufferBuilder builder;
  const auto name = builder.CreateString(model);
  const auto key = builder.CreateString(api_key);
  builder.Finish(
      wire::CreateLanguageModel(builder, version, name, 0, key, -1, builder.CreateVector(forget)));
  const auto sent = channel_->send_control(
      std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())));
  if (!sent) throw std::runtime_error(sent.error().what);
}

void WorkerHarness::send_bytes(wire::MessageType type, std::uint64_t request_id,
                               std::span<const std::uint8_t> bytes, bool recalled) {
  const auto place = channel_->try_reserve(static_cast<std::uint32_t>(bytes.size()));
  if (!place) throw std::runtime_error("the request ring is full");
  if (!bytes.empty()) std::memcpy(place->data(), bytes.data(), bytes.size());
  channel_->commit(static_cast<std::uint16_t>(type), request_id);
  if (type == wire::MessageType::request) channel_->count_request();
  if (recalled) static_cast<void>(channel_->recall_requests());
  if (channel_->publish()) channel_->ring_worker();
}

Reply WorkerHarness::receive() {
  ipc::RecordHeader header{};
  std::vector<std::byte> body;
  while (true) {
    switch (channel_->receive(header, body)) {
      case ipc::EngineChannel::Received::kViolation:
        throw std::runtime_error(channel_->violation());
      case ipc::EngineChannel::Received::kRecord: {
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(body.data());
        Reply reply{static_cast<wire::MessageType>(header.type),
                    header.request_id,
                    {bytes, bytes + body.size()}};
        if (!verify(reply)) throw std::runtime_error("the worker's record does not verify");
        return reply;
      }
      case ipc::EngineChannel::Received::kNothing:
        break;
    }
    pollfd watched[] = {{.fd = channel_->caller_bell(), .events = POLLIN, .revents = 0},
                        {.fd = process_->pidfd(), .events = POLLIN, .revents = 0}};
    if (::poll(watched, 2, kWatchdogMs) == 0) throw std::runtime_error("the worker is silent");
    if (watched[1].revents != 0 && !channel_->has_records()) {
      throw std::runtime_error("the worker has ended: " +
                               read_output(process_->standard_error(), "no such line"));
    }
    channel_->clear_bell(ipc::Receiver::kCaller);
  }
}

Reply WorkerHarness::call(const Call& call) {
  const std::uint64_t request_id = send(call);
  Reply reply = receive();
  EXPECT_EQ(reply.type, wire::MessageType::response);
  EXPECT_EQ(reply.request_id, request_id);
  EXPECT_EQ(reply.response().epoch(), kEpoch);
  EXPECT_EQ(reply.response().attempt(), call.attempt);
  return reply;
}

ipc::ExitStatus WorkerHarness::wait_for_end() {
  EXPECT_TRUE(readable(process_->pidfd())) << "the worker runs for ever";
  return process_->try_reap().value();
}

std::string WorkerHarness::read_output(int descriptor, const std::string& needle) {
  std::string text;
  char character = 0;
  while (!(text.ends_with('\n') && text.find(needle) != std::string::npos) &&
         readable(descriptor) && ::read(descriptor, &character, 1) == 1) {
    text += character;
  }
  return text;
}

}  // namespace dspool::python
