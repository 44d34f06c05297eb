// How every refusal and failure is told: one of nine categories, a stable code, and what to do.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace dspool {

// The nine categories; their names in text are those of the old pool (`to_string`).
enum class ErrorCategory : std::uint8_t {
  kInitialization,  // "initialization"  a worker, or the engine, could not start
  kConnection,      // "connection"      a worker was lost
  kCommunication,   // "communication"   a message was too large, or not what the protocol allows
  kTimeout,         // "timeout"         the call's deadline passed
  kResourceError,   // "resource_error"  no slot, no room, not now: see retry_after
  kHealthCheck,     // "health_check"    a worker does not react
  kSession,         // "session"         the session cannot do this
  kPython,          // "python"          the command raised an exception
  kSystemError,     // "system_error"    the operating system refused
};
[[nodiscard]] std::string_view to_string(ErrorCategory category) noexcept;
[[nodiscard]] std::optional<ErrorCategory> error_category_from(std::string_view name) noexcept;

// Whether the call changed its session's state.
enum class StateApplied : std::uint8_t { kNo, kYes, kUnknown };
[[nodiscard]] std::string_view to_string(StateApplied applied) noexcept;

// Every member has an initializer, so that designated ones may name only what they have to say:
// `Error{.category = ErrorCategory::kSession, .code = "session_not_found", .message = ...}`.
struct Error {
  ErrorCategory category = ErrorCategory::kSystemError;
  std::string code = {};     // stable, snake_case: "worker_lost", "queue_full"
  std::string message = {};  // what happened, to what, and what to do
  bool retryable = false;
  std::optional<std::chrono::milliseconds> retry_after = {};
  StateApplied state_applied = StateApplied::kNo;
  std::uint32_t attempts = 0;       // attempts that were sent to a worker
  std::string worker = {};          // the last worker concerned, empty where there was none
  std::string exception_type = {};  // of a Python exception: "ValueError"
  std::string traceback = {};       // of a Python exception, as Python prints it
  std::string provider = {};        // the language-model provider whose failure it is
  std::string cause = {};           // what it follows from, in the words of whoever told that

  // "python/exception: ValueError: no such program (worker-2)", for logs and terminals; the
  // traceback is left out. The exception's type is put before a message that does not begin with
  // it.
  [[nodiscard]] std::string describe() const;
};

template <typename T>
using Result = tl::expected<T, Error>;

}  // namespace dspool
