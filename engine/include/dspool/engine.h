// The pool: callers talk to sessions, and workers that come and go execute their commands.
//
// Thread-safe: every function may be called from any thread. In a completion on the reactor nothing
// may wait for the reactor: blocking calls return system_error / "would_deadlock" there,
// `wait_until_ready` what is so now, and `health_check` what is known without asking the workers.
//
// Order: commands of one session execute one at a time, in the order of arrival. Sessions do not
// wait for each other.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/call.h"
#include "dspool/config.h"
#include "dspool/error.h"
#include "dspool/history.h"
#include "dspool/session_id.h"
#include "dspool/stats.h"
#include "dspool/value.h"

namespace dspool {

class Engine {
 public:
  // Starts the workers and returns when the first of them is ready. Errors: "invalid_config",
  // and of category initialization "adapter_failed" (with Python's traceback), "worker_died"
  // (with its last words), "start_timeout", "channel_no_memory".
  static Result<std::unique_ptr<Engine>> start(Config config);

  // Ends what waits with resource_error / "stopping", stops the workers, frees everything.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Executes `command` in the session `id`, which it creates on first use. Blocks until the
  // answer is committed, or the deadline.
  Result<Answer> execute_in_session(std::string_view id, std::string_view command,
                                    const Value& args, const CallOptions& options = {});

  // Executes `command` in a temporary session that ends with the answer.
  Result<Answer> execute_anonymous(std::string_view command, const Value& args,
                                   const CallOptions& options = {});

  // The same without blocking; an empty id is an anonymous call. `done` is called exactly once, on
  // the reactor or the executor, also when the call is refused; it may run before `submit` returns.
  // returns.
  CallId submit(std::string_view id, std::string_view command, Value args, Completion done,
                const CallOptions& options = {});

  // Ends a submitted call with timeout / "cancelled" unless it has ended already (then false).
  bool cancel(CallId call);

  // Sets the language model of the whole pool, for workers started later too. In effect for
  // every attempt sent after it returns. Errors: initialization / "invalid_language_model".
  Result<void> set_lm(const LanguageModel& model);

  // Asks every worker for a sign of life, up to `patience`.
  [[nodiscard]] Health health_check(std::chrono::milliseconds patience = std::chrono::seconds(1));
  [[nodiscard]] Stats stats() const;
  [[nodiscard]] History history() const;

  // Waits until `pool_size` workers are ready; false after `patience`.
  bool wait_until_ready(std::chrono::milliseconds patience);

  // Sessions in the order of their ids, after `after`, at most `limit`.
  [[nodiscard]] std::vector<std::string> list_sessions(std::string_view after = {},
                                                       std::size_t limit = 1000) const;
  // Errors: session / "session_not_found".
  [[nodiscard]] Result<SessionInfo> get_session(std::string_view id) const;
  // Ends the session after the calls that arrived before: its state is gone, its id is free.
  // Errors: session / "session_not_found", timeout.
  Result<void> end_session(std::string_view id, const CallOptions& options = {});

 private:
  class Parts;
  explicit Engine(std::unique_ptr<Parts> parts) noexcept;

  std::unique_ptr<Parts> parts_;
};

}  // namespace dspool
