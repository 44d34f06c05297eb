// One attempt as it is sent to a worker, and what it came to, as its worker told it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "dspool/call.h"
#include "dspool/error.h"
#include "engine/session/record.h"
#include "engine/session/session.h"
#include "ipc/layout.h"
#include "ipc/payload.h"

namespace dspool::worker {

// A command's arguments, all of a session's fields: each travels inline up to here, and as a
// payload beyond.
inline constexpr std::size_t kValueLimitBytes = ipc::kValueLimitBytes;

using PayloadRef = std::shared_ptr<const ipc::Payload>;  // null: it travels inline

// What an attempt keeps in its place until its worker has answered or died.
struct Pins {
  PayloadRef args;
  PayloadRef state;
};

// What a worker has to be told of language models before a request: one that it needs, by its id,
// and those that it needs no more.
struct ModelNews {
  std::uint64_t id = 0;
  const LanguageModel* model = nullptr;  // but for its key
  std::string_view key;
  std::span<const std::uint64_t> forget;
};

// Views are good for the call that takes the Request only.
struct Request {
  std::uint64_t request_id = 0;
  std::string_view command;
  std::span<const std::uint8_t> args;
  std::string_view session;  // empty: anonymous
  std::uint32_t attempt = 0;
  const session::Record* state = nullptr;  // version and state_id to execute on
  bool hydrate = false;                    // send the fields too
  Pins* pins = nullptr;  // `args` is set where they are too long; takes `state`; set with `hydrate`
  session::TimePoint deadline{};
  std::uint64_t lm_version = 0;  // the id of its language model; 0: none is set
  std::uint32_t place = 0;       // where the worker is told of it while it runs (ipc/attention.h)
  bool streams = false;          // its caller listens to chunks
  const ModelNews* model_news = nullptr;  // null: there is none
};

enum class Sent : std::uint8_t {
  kSent,
  kFull,      // no room in the worker's ring until it has answered something
  kNoMemory,  // for a payload
};

enum class OutcomeStatus : std::uint8_t { kOk, kError, kNeedState, kCancelled, kRecalled };

// Decoded and verified, not yet believed: the dispatcher matches it with an attempt in flight.
struct Outcome {
  OutcomeStatus status = OutcomeStatus::kOk;
  std::uint32_t attempt = 0;                // the attempt's number within its call
  std::vector<std::uint8_t> result;         // one verified FlexBuffer, when kOk
  session::Delta delta;                     // when kOk
  std::vector<std::byte>* bytes = nullptr;  // what `delta` looks into, for whoever keeps it
  Error error;                              // when kError
  std::int64_t service_ns = 0;
  std::int64_t hydration_ns = 0;  // of that, what the session's fields took that came with it
  bool not_kept = false;          // the worker does not have the session's fields any more
  Usage usage{};                  // of this attempt
};

// The same of a chunk.
struct ChunkReport {
  std::uint32_t attempt = 0;
  std::uint64_t index = 0;
  std::vector<std::uint8_t> value;  // one verified FlexBuffer
  std::size_t record_bytes = 0;     // of the record's body, which count in the window
};

}  // namespace dspool::worker
