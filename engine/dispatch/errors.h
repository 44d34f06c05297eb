// Every error that dispatch itself can end a call with: one function a code.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "dspool/error.h"

namespace dspool::dispatch::errors {

using Milliseconds = std::chrono::milliseconds;

inline constexpr std::size_t kMostKeyBytes = 128;

Error invalid_session_id(std::size_t bytes);
Error invalid_command();
Error invalid_idempotency_key(std::size_t bytes);
Error idempotency_conflict(std::string_view key);
Error value_too_large(std::size_t bytes, std::size_t limit);
Error no_payload_memory(std::string_view why);
Error pooling_disabled();
Error session_not_found(std::string_view id);
Error session_queue_full(std::string_view id, std::uint32_t limit, Milliseconds retry_after);
Error queue_full(std::uint32_t limit, Milliseconds retry_after);
Error checkout_timeout(Milliseconds waited, std::uint32_t ready_workers,
                       std::string_view last_words);
Error deadline_exceeded(Milliseconds timeout, bool sent);
Error cancelled(bool sent);
Error stopping();
Error would_deadlock();
Error worker_lost(std::string_view worker, std::string_view how);
Error channel_violation(std::string_view worker, std::string_view what);

}  // namespace dspool::dispatch::errors
