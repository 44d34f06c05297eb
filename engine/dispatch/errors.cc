#include "engine/dispatch/errors.h"

#include <fmt/format.h>

#include <algorithm>

#include "dspool/config.h"
#include "dspool/session_id.h"

namespace dspool::dispatch::errors {

Error invalid_session_id(std::size_t bytes) {
  return {.category = ErrorCategory::kSession,
          .code = "invalid_session_id",
          .message = bytes == 0
                         ? "a session id must not be empty: name the session, or use "
                           "execute_anonymous for a call without one"
                         : fmt::format("a session id of {} bytes is over the limit of {}: use a "
                                       "shorter name, for instance a hash of it",
                                       bytes, SessionId::kMaxBytes)};
}

Error invalid_command() {
  return {.category = ErrorCategory::kPython,
          .code = "unknown_command",
          .message =
              "a command must have a name of at most 1024 bytes: one of the "
              "adapter's public methods"};
}

Error invalid_idempotency_key(std::size_t bytes) {
  return {.category = ErrorCategory::kSession,
          .code = "invalid_idempotency_key",
          .message = fmt::format("an idempotency key of {} bytes is over the limit of {}: use a "
                                 "shorter one, for instance a UUID",
                                 bytes, kMostKeyBytes)};
}

Error idempotency_conflict(std::string_view key) {
  return {.category = ErrorCategory::kSession,
          .code = "idempotency_conflict",
          .message = fmt::format("the idempotency key '{}' belongs to a call with another command "
                                 "or other arguments: give each operation a key of its own",
                                 key)};
}

Error value_too_large(std::size_t bytes, std::size_t limit) {
  return {.category = ErrorCategory::kCommunication,
          .code = "value_too_large",
          .message = fmt::format("arguments of {} bytes are over the limit of {}: send them in "
                                 "parts, or a reference to them, or raise "
                                 "worker.max_payload_bytes",
                                 bytes, limit)};
}

Error no_payload_memory(std::string_view why) {
  return {.category = ErrorCategory::kResourceError,
          .code = "no_payload_memory",
          .message =
              fmt::format("there is no memory to send a value of this size to a worker: {}", why),
          .retryable = true,
          .cause = std::string(why)};
}

Error pooling_disabled() {
  return {.category = ErrorCategory::kResourceError,
          .code = "pooling_disabled",
          .message = "the pool is switched off: set pooling_enabled = true in the configuration"};
}

Error session_not_found(std::string_view id) {
  return {.category = ErrorCategory::kSession,
          .code = "session_not_found",
          .message = fmt::format("there is no session '{}': create it by a call with "
                                 "create_session = true, or look it up in list_sessions",
                                 id)};
}

Error session_expired(std::string_view id) {
  return {.category = ErrorCategory::kSession,
          .code = "session_expired",
          .message = fmt::format("session '{}' was not used for as long as its ttl allows, and its "
                                 "state is gone: create_session begins it anew; a longer ttl there "
                                 "or in session.ttl, or touch_session, keeps one",
                                 id)};
}

Error session_exists(std::string_view id) {
  return {.category = ErrorCategory::kSession,
          .code = "session_exists",
          .message = fmt::format("there is a session '{}' already: use it, or say with if_exists "
                                 "whether to keep or to replace it",
                                 id)};
}

Error too_many_sessions(std::size_t limit) {
  return {.category = ErrorCategory::kResourceError,
          .code = "too_many_sessions",
          .message = fmt::format("the pool has {} sessions, which is its limit: end some, let them "
                                 "expire sooner (session.ttl), or raise session.max_sessions",
                                 limit),
          .retryable = true};
}

Error invalid_ttl() {
  return {.category = ErrorCategory::kSession,
          .code = "invalid_ttl",
          .message =
              "a session's ttl is a number of milliseconds from 0 (it does not expire) to a "
              "week (604800000)"};
}

Error durability_unavailable(Durability durability) {
  return {.category = ErrorCategory::kSession,
          .code = "durability_unavailable",
          .message = durability == Durability::kReplicated
                         ? "durability 'replicated' needs a replicated store, and there is none: "
                           "create the session with 'local' or 'memory'"
                         : "durability 'local' needs a durable store: name a directory for it in "
                           "store.path, or create the session with 'memory'"};
}

Error invalid_update(std::string_view why) {
  return {.category = ErrorCategory::kSession,
          .code = "invalid_update",
          .message = fmt::format("{}; nothing was changed", why)};
}

Error invalid_append(std::string_view key) {
  return {.category = ErrorCategory::kSession,
          .code = "invalid_append",
          .message = fmt::format("nothing can be appended to the field '{}': it is not there, or "
                                 "not a list (for the elements of a list) or a text (for a text); "
                                 "put it instead",
                                 key)};
}

Error version_conflict(std::uint64_t asked, std::uint64_t found) {
  return {.category = ErrorCategory::kSession,
          .code = "version_conflict",
          .message = fmt::format("the session is at version {}, not {}: read it again, and decide "
                                 "anew",
                                 found, asked)};
}

Error state_memory_full() {
  return {.category = ErrorCategory::kResourceError,
          .code = "state_memory_full",
          .message =
              "there is no shared memory left for the state of sessions: raise "
              "store.memory_limit, set store.path so that idle sessions can move out, or "
              "end sessions",
          .retryable = true,
          .retry_after = Milliseconds(100)};
}

Error language_model_key_missing(std::string_view id, std::string_view model) {
  return {.category = ErrorCategory::kSession,
          .code = "language_model_key_missing",
          .message = fmt::format("the session '{}' has the language model '{}', whose api_key was "
                                 "in the memory of an engine that has ended: set it again by "
                                 "set_lm in this session, or go back to the pool's by "
                                 "set_lm(model = null)",
                                 id, model)};
}

Error too_many_language_models(std::uint32_t limit) {
  return {.category = ErrorCategory::kResourceError,
          .code = "too_many_language_models",
          .message = fmt::format("the sessions of this pool have {} different language models "
                                 "already, and more are not allowed: share models and keys "
                                 "between sessions, or end some that have others",
                                 limit)};
}

Error no_engine_memory() {
  return {.category = ErrorCategory::kResourceError,
          .code = "no_engine_memory",
          .message =
              "there is no memory for this call in the engine's process: give it more, or send "
              "less at once; the call changed nothing",
          .retryable = true};
}

Error no_memory_for_fields() {
  return {.category = ErrorCategory::kResourceError,
          .code = "no_memory_for_fields",
          .message =
              "there is no memory for a copy of the fields in the engine's process: read fewer of "
              "them at once",
          .retryable = true};
}

Error store_failed(const Error& cause, bool unknown) {
  const std::string_view why = cause.message.empty() ? std::string_view("it is being recovered")
                                                     : std::string_view(cause.message);
  return {.category = ErrorCategory::kSystemError,
          .code = "store_failed",
          .message = fmt::format("the durable store could not be written ({}): {}", why,
                                 unknown ? "whether this call's change is in it will be known when "
                                           "it is back, and the session waits for that; repeat the "
                                           "call with its idempotency key, or read the session"
                                         : "the call changed nothing; see to the disk, and repeat "
                                           "it"),
          .retryable = !unknown,
          .retry_after = Milliseconds(1'000),
          .state_applied = unknown ? StateApplied::kUnknown : StateApplied::kNo,
          .cause = cause.message};
}

Error while_written(Error error) {
  error.message =
      "the call ended while its change was being written to the durable store: the "
      "session's next call sees whether it was; repeat this one with its idempotency "
      "key, or read the session";
  error.retryable = false;
  error.state_applied = StateApplied::kUnknown;
  return error;
}

Error session_queue_full(std::string_view id, std::uint32_t limit, Milliseconds retry_after) {
  return {.category = ErrorCategory::kResourceError,
          .code = "session_queue_full",
          .message = fmt::format("{} calls of session '{}' wait already: wait for answers before "
                                 "sending more, or raise session_queue_limit",
                                 limit, id),
          .retryable = true,
          .retry_after = retry_after};
}

Error queue_full(std::uint32_t limit, Milliseconds retry_after) {
  return {.category = ErrorCategory::kResourceError,
          .code = "queue_full",
          .message = fmt::format("{} calls wait for a worker already: send less, raise pool_size, "
                                 "or raise queue_limit",
                                 limit),
          .retryable = true,
          .retry_after = retry_after};
}

Error overloaded(Milliseconds wait, Milliseconds retry_after) {
  return {.category = ErrorCategory::kResourceError,
          .code = "overloaded",
          .message = fmt::format("for some time more is asked of the pool than it can do, and this "
                                 "call would wait for longer than {} ms: send less, or raise "
                                 "pool_size",
                                 wait.count()),
          .retryable = true,
          .retry_after = retry_after};
}

Error circuit_open(const BreakerInfo& breaker, bool is_of_pool) {
  const std::string whose = is_of_pool
                                ? std::string("the pool")
                                : fmt::format("the language-model provider '{}'", breaker.name);
  Error error{.category = ErrorCategory::kResourceError,
              .code = "circuit_open",
              .retryable = true,
              .provider = is_of_pool ? std::string() : breaker.name,
              .cause = breaker.last_failure};
  if (breaker.state == BreakerState::kIsolated) {
    error.message = fmt::format(
        "the circuit breaker of {} is open by hand: wait until somebody closes it by "
        "close_breaker(\"{}\")",
        whose, breaker.name);
    return error;
  }
  error.retry_after = std::max(breaker.retry_after, Milliseconds(100));
  error.message = fmt::format(
      "the circuit breaker of {} is {}, since too many calls failed, the last of them because: {}; "
      "try again in {} ms, see to {}, or close it by close_breaker(\"{}\")",
      whose, breaker.state == BreakerState::kOpen ? "open" : "half-open and trying a few calls",
      breaker.last_failure, error.retry_after->count(), is_of_pool ? "its workers" : "it",
      breaker.name);
  return error;
}

Error unknown_breaker(std::string_view name) {
  return {.category = ErrorCategory::kResourceError,
          .code = "unknown_breaker",
          .message = fmt::format("there is no circuit breaker '{}': breakers() names those that "
                                 "there are; a provider has one once it has failed",
                                 name)};
}

Error checkout_timeout(Milliseconds waited, std::uint32_t ready_workers,
                       std::string_view last_words) {
  std::string message = fmt::format(
      "no worker became free within {} ms ({} ready): raise "
      "pool_size or checkout_timeout",
      waited.count(), ready_workers);
  if (ready_workers == 0 && !last_words.empty()) {
    message += fmt::format("; the last worker that could not start said: {}", last_words);
  }
  return {.category = ErrorCategory::kResourceError,
          .code = "checkout_timeout",
          .message = std::move(message),
          .retryable = true,
          .retry_after = waited,
          .cause = std::string(ready_workers == 0 ? last_words : std::string_view())};
}

Error deadline_exceeded(Milliseconds timeout, bool sent) {
  return {.category = ErrorCategory::kTimeout,
          .code = "deadline_exceeded",
          .message = fmt::format(
              "no answer within {} ms, {}: give the call more time by "
              "options.timeout or operation_timeout; it changed nothing",
              timeout.count(),
              sent ? "the worker was still executing it" : "it was still waiting for its turn"),
          .retryable = true};
}

Error cancelled(bool sent) {
  return {.category = ErrorCategory::kTimeout,
          .code = "cancelled",
          .message = sent ? "the caller cancelled the call while a worker executed it; it changed "
                            "nothing"
                          : "the caller cancelled the call before it began"};
}

Error stopping() {
  return {.category = ErrorCategory::kResourceError,
          .code = "stopping",
          .message = "the engine is stopping: send the call to another one"};
}

Error worker_busy(std::string_view worker) {
  return {
      .category = ErrorCategory::kResourceError,
      .code = "worker_busy",
      .message = fmt::format("{} had no free slot for the session to move to: it stays where it "
                             "was; ask again later",
                             worker),
      .retryable = true,
      .worker = std::string(worker)};
}

Error unknown_worker(std::string_view worker) {
  return {.category = ErrorCategory::kResourceError,
          .code = "unknown_worker",
          .message = fmt::format("there is no worker '{}': health_check names those that there are",
                                 worker),
          .worker = std::string(worker)};
}

Error worker_not_ready(std::string_view worker) {
  return {.category = ErrorCategory::kResourceError,
          .code = "worker_not_ready",
          .message = fmt::format(
              "{} is starting or leaving: wait until it is ready, or name another", worker),
          .retryable = true,
          .worker = std::string(worker)};
}

Error last_worker(std::string_view worker) {
  return {
      .category = ErrorCategory::kResourceError,
      .code = "last_worker",
      .message = fmt::format("{} is the last worker that is ready: start another one by resize, "
                             "or have it replaced by evacuate_worker",
                             worker),
      .retryable = true,
      .worker = std::string(worker)};
}

Error invalid_pool_size(std::uint32_t asked) {
  return {.category = ErrorCategory::kResourceError,
          .code = "invalid_pool_size",
          .message = fmt::format("a pool cannot have {} workers: ask for 1 to {}", asked,
                                 Config::kMostWorkers)};
}

Error unfinished(std::string_view what, Milliseconds patience) {
  return {
      .category = ErrorCategory::kTimeout,
      .code = "unfinished",
      .message = fmt::format("the {} was not done within {} ms, and goes on: wait longer, or see "
                             "by health_check which worker is still at work",
                             what, patience.count()),
      .retryable = true};
}

Error would_deadlock() {
  return {.category = ErrorCategory::kSystemError,
          .code = "would_deadlock",
          .message =
              "a blocking call from a completion on the reactor would wait for itself: use "
              "submit, or set completion_executor"};
}

Error worker_lost(std::string_view worker, std::string_view how) {
  return {.category = ErrorCategory::kConnection,
          .code = "worker_lost",
          .message = fmt::format("{} ended ({}) before it had answered; the call changed nothing: "
                                 "repeat it, or allow that by max_retries",
                                 worker, how),
          .retryable = true,
          .worker = std::string(worker),
          .cause = std::string(how)};
}

Error worker_stuck(std::string_view worker, std::string_view how) {
  return {.category = ErrorCategory::kHealthCheck,
          .code = "worker_stuck",
          .message = fmt::format("{} was replaced, because a call beside this one went on after it "
                                 "was cancelled; this one changed nothing: repeat it, or allow "
                                 "that by max_retries",
                                 worker),
          .retryable = true,
          .worker = std::string(worker),
          .cause = std::string(how)};
}

Error call_quarantined(std::string_view worker, std::string_view how) {
  return {
      .category = ErrorCategory::kSession,
      .code = "call_quarantined",
      .message = fmt::format("{} ended ({}) while this call was all that it ran, and so had the "
                             "worker that ran it, or its session, before: it is not tried "
                             "again, and changed nothing. See what the workers said in the "
                             "log, and mend the command or its arguments",
                             worker, how),
      .worker = std::string(worker)};
}

Error key_quarantined(std::string_view key) {
  return {
      .category = ErrorCategory::kSession,
      .code = "call_quarantined",
      .message = fmt::format("a call with the idempotency key '{}' has ended its workers, and is "
                             "not tried again; it changed nothing: mend the command or its "
                             "arguments and give it another key, or let it run by "
                             "release_session",
                             key)};
}

Error session_quarantined(std::string_view id) {
  return {
      .category = ErrorCategory::kSession,
      .code = "session_quarantined",
      .message = fmt::format("calls of session '{}' ended their workers again and again, each "
                             "alone there, so that its state must be the cause: no worker is "
                             "given it. read_fields and update_fields go on; release_session "
                             "lets calls run again, end_session or create_session with if_exists "
                             "= replace begins it anew",
                             id)};
}

Error channel_violation(std::string_view worker, std::string_view what) {
  return {.category = ErrorCategory::kCommunication,
          .code = "channel_violation",
          .message = fmt::format("{} broke the protocol ({}) and was replaced; the call changed "
                                 "nothing: repeat it, or allow that by max_retries",
                                 worker, what),
          .retryable = true,
          .worker = std::string(worker),
          .cause = std::string(what)};
}

}  // namespace dspool::dispatch::errors
