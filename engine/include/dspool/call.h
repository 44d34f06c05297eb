// What a caller says about a call, and what it gets back.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "dspool/error.h"
#include "dspool/retry.h"
#include "dspool/value.h"

namespace dspool {

// A part of what a command has to say, ahead of its answer.
struct Chunk {
  Value value{};
  std::uint32_t attempt = 1;  // that it is from: a call that is repeated begins anew
  std::uint64_t index = 0;    // within its attempt, from 0 on
};

// Takes chunks in their order, one at a time, and the completion follows it. While it has not
// returned from as many as 32 chunks or 256 KiB, the command waits, and nobody else does: so it may
// take its time, but not on the reactor. What it throws cancels the call, whose error has it as
// `cause`; a call that was answered before gets its answer, and no more chunks.
using ChunkHandler = std::function<void(Chunk)>;

struct CallOptions {
  // From now to the call's end, queueing and retries included; Config::operation_timeout if unset.
  // At most a week: what is longer is a week.
  std::optional<std::chrono::milliseconds> timeout{};
  // How often the call may be repeated after an attempt that did not commit and whose error is
  // retryable. Its session waits with it, and nobody overtakes it there. A pause is at least as
  // long as the error's `retry_after`; one that the deadline does not leave time for is not begun:
  // the call ends with the error. After a death of its worker it runs alone on one, and not again
  // if that dies, too.
  std::uint32_t max_retries = 0;
  BackoffChoice backoff{};  // the pauses before these: a Backoff, or a function of the retry
  // A session that does not exist yet is created; otherwise: session / "session_not_found".
  bool create_session = true;
  // Empty, or what names this operation in its session: repeated within ten minutes, it is answered
  // with the stored answer and executed no second time. With another command or other arguments:
  // session / "idempotency_conflict". A session keeps the newest 64 of them, in at most 1 MiB.
  // At most 128 bytes: otherwise session / "invalid_idempotency_key".
  std::string idempotency_key{};
  // Is given what the command emits while it runs: on the reactor or the executor, as completions
  // are; in a call that blocks, on the thread that waits. Of a call that ends with an error, what
  // it has not been given by then is dropped. An answer that was stored under an idempotency key
  // comes without chunks. Empty: the command is told that nobody listens.
  ChunkHandler on_chunk{};
};

// What language models charged for, as the commands have counted it.
struct Usage {
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;

  Usage& operator+=(const Usage& more) noexcept {
    input_tokens += more.input_tokens;
    output_tokens += more.output_tokens;
    return *this;
  }
};

struct Answer {
  Value value{};
  std::uint64_t version = 0;  // the session's version after the call; 0: nothing committed yet
  std::uint32_t attempts = 1;
  std::string_view worker{};  // the name of the worker that answered; lives as long as the engine
  Usage usage{};  // of all attempts that answered, also with errors; none of a stored answer
};

// Ends exactly once, with an answer or an error.
using Completion = std::function<void(Result<Answer>)>;

// Names a submitted call, for `Engine::cancel`.
enum class CallId : std::uint64_t {};

// A language model, of a pool or of a session. The key is held by the engine and handed to workers
// over a descriptor; it is never part of a session, a log or a message in shared memory.
struct LanguageModel {
  // As LiteLLM names it: "openai/gpt-4o-mini". A bare name gets its provider: `provider`, or where
  // that is empty, whoever is known to make models of such names ("gemini-1.5-flash"), or where
  // there is an api_base, "openai"; one that nobody knows is refused.
  std::string model{};
  std::string provider{};
  std::string api_base{};  // empty: the provider's own
  std::string api_key{};
  std::optional<double> temperature{};  // from 0 on; nothing: the model's own default
};

}  // namespace dspool
