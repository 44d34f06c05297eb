// Every error that dispatch itself can end a call with: one function a code.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "dspool/circuit_breaker.h"
#include "dspool/error.h"
#include "dspool/session.h"

namespace dspool::dispatch::errors {

using Milliseconds = std::chrono::milliseconds;

inline constexpr std::size_t kMostKeyBytes = 128;

// What is added to the message of an error that would have been retried.
inline constexpr std::string_view kOverBudget =
    "; it was not tried again, since as many calls are being repeated as retry.budget_percent and "
    "retry.budget_per_second allow";

Error invalid_session_id(std::size_t bytes);
Error invalid_command();
Error invalid_idempotency_key(std::size_t bytes);
Error idempotency_conflict(std::string_view key);
Error value_too_large(std::size_t bytes, std::size_t limit);
Error no_payload_memory(std::string_view why);
Error pooling_disabled();
Error session_not_found(std::string_view id);
Error session_expired(std::string_view id);
Error session_exists(std::string_view id);
Error too_many_sessions(std::size_t limit);
Error invalid_ttl();
Error durability_unavailable(Durability durability);
Error invalid_update(std::string_view why);
Error invalid_append(std::string_view key);
Error version_conflict(std::uint64_t asked, std::uint64_t found);
Error state_memory_full();
Error no_engine_memory();
Error no_memory_for_fields();
// `unknown`: whether it was written will be known later.
Error store_failed(const Error& cause, bool unknown);
// The call ends with `error` while its commit is being written.
Error while_written(Error error);
Error session_queue_full(std::string_view id, std::uint32_t limit, Milliseconds retry_after);
Error queue_full(std::uint32_t limit, Milliseconds retry_after);
Error overloaded(Milliseconds wait, Milliseconds retry_after);
Error circuit_open(const BreakerInfo& breaker, bool is_of_pool);
Error unknown_breaker(std::string_view name);
Error checkout_timeout(Milliseconds waited, std::uint32_t ready_workers,
                       std::string_view last_words);
Error deadline_exceeded(Milliseconds timeout, bool sent);
Error cancelled(bool sent);
// `model`: of the session.
Error language_model_key_missing(std::string_view id, std::string_view model);
Error too_many_language_models(std::uint32_t limit);
Error stopping();
Error worker_busy(std::string_view worker);
// Of what is asked of the fleet.
Error unknown_worker(std::string_view worker);
Error worker_not_ready(std::string_view worker);
Error last_worker(std::string_view worker);
Error invalid_pool_size(std::uint32_t asked);
Error unfinished(std::string_view what, Milliseconds patience);
Error would_deadlock();
Error worker_lost(std::string_view worker, std::string_view how);
// It was given up for another attempt's sake.
Error worker_stuck(std::string_view worker, std::string_view how);
// `how` the last worker of the call ended.
Error call_quarantined(std::string_view worker, std::string_view how);
Error key_quarantined(std::string_view key);
Error session_quarantined(std::string_view id);
Error channel_violation(std::string_view worker, std::string_view what);

}  // namespace dspool::dispatch::errors
