// The pool: callers talk to sessions, and workers that come and go execute their commands.
//
// Thread-safe: every function may be called from any thread. In a completion on the reactor nothing
// may wait for the reactor: blocking calls return system_error / "would_deadlock" there,
// `wait_until_ready` what is so now, and `probe_now` what is known without asking the workers.
//
// Order: commands of one session execute one at a time, in the order of arrival. Sessions do not
// wait for each other.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/alert.h"
#include "dspool/call.h"
#include "dspool/circuit_breaker.h"
#include "dspool/config.h"
#include "dspool/error.h"
#include "dspool/history.h"
#include "dspool/migration.h"
#include "dspool/session.h"
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
  // answer is committed, or the deadline. A session that nobody has used for its ttl is gone: for
  // an hour its calls end with session / "session_expired", unless it is created by name. All that
  // use a session which the durable store cannot read end with session / "session_corrupted",
  // until it is ended or replaced.
  //
  // A call whose worker dies is repeated if its options allow that, alone on a worker. If that dies
  // too, the call ends with session / "call_quarantined"; and once another call of the session has
  // come to the same end, all of them do, with session / "session_quarantined": see
  // `release_session`.
  Result<Answer> execute_in_session(std::string_view id, std::string_view command,
                                    const Value& args, const CallOptions& options = {});

  // Executes `command` in a temporary session that ends with the answer.
  Result<Answer> execute_anonymous(std::string_view command, const Value& args,
                                   const CallOptions& options = {});

  // The same without blocking; an empty id is an anonymous call. `done` is called exactly once, on
  // the reactor or the executor, also when the call is refused; it may run before `submit` returns.
  CallId submit(std::string_view id, std::string_view command, Value args, Completion done,
                const CallOptions& options = {});

  // Ends a submitted call with timeout / "cancelled" unless it has ended already (then false).
  bool cancel(CallId call);

  // Sets the language model of the whole pool, for workers started later too. In effect for
  // every attempt sent after it returns, in sessions that have none of their own. Also the command
  // "set_lm", or "configure_lm", of an anonymous call. Errors: initialization /
  // "invalid_language_model"; resource_error / "too_many_language_models".
  Result<void> set_lm(const LanguageModel& model);
  // Gives the session a language model of its own; nothing: that of the pool again. Also the
  // command "set_lm", or "configure_lm", in the session, where `model = null` stands for nothing.
  // It takes its turn in the session's queue and is a commit: what is stored of it, moves and
  // survives the engine is all but the api_key. After the engine's end the calls of a session whose
  // model had one end with session / "language_model_key_missing", until it is set again. An
  // idempotency key is not looked at: to set it twice is to set it once. Errors also: as
  // `update_fields`.
  Result<Answer> set_session_lm(std::string_view id, const std::optional<LanguageModel>& model,
                                const CallOptions& options = {});

  // ---- health ----
  // Workers are asked for a sign of life every health.probe_interval, beside their work; one that
  // has nothing to do and gives none for 5 s is silent, and after 10 s it is replaced.
  // As it is now, as far as is known without asking: always at once.
  [[nodiscard]] Health health() const;
  // Asks every worker, and waits for those that have nothing else to do, up to `patience`; one that
  // has not answered by then is silent.
  [[nodiscard]] Health probe_now(std::chrono::milliseconds patience = std::chrono::seconds(1));
  // The same, as the old pool called it.
  [[nodiscard]] Health health_check(std::chrono::milliseconds patience = std::chrono::seconds(1)) {
    return probe_now(patience);
  }
  // Tells `observer` of every change of the status, and of every alert (where
  // health.alert_destinations has "observers"), as `observe_migrations` tells of moves.
  [[nodiscard]] Subscription observe_health(HealthObserver observer);
  [[nodiscard]] Subscription observe_alerts(AlertObserver observer);

  // Waits until as many workers are ready as the pool is to have; false after `patience`. A worker
  // is ready when its loop has answered a probe, not when it says so.
  bool wait_until_ready(std::chrono::milliseconds patience);

  [[nodiscard]] Stats stats() const;
  [[nodiscard]] History history() const;

  // ---- circuit breakers ----
  // The pool's first, then those of providers.
  [[nodiscard]] std::vector<BreakerInfo> breakers() const;
  // Refuses calls until it is closed by hand: all of them, or those that ask the provider. Both
  // functions may end with resource_error / "unknown_breaker".
  Result<void> isolate_breaker(std::string_view name);
  // Lets calls through, whatever it has seen.
  Result<void> close_breaker(std::string_view name);

  // ---- the fleet ----
  // Workers come and go while calls run: what a worker runs is finished, sessions that are warm on
  // one that leaves are moved to others, and no call's answer shows anything of it. Each function
  // waits until it is done, for `patience` at most: then timeout / "unfinished", and it goes on.
  // All may end with resource_error / "pooling_disabled" or "stopping", system_error /
  // "would_deadlock"; those that name a worker also with resource_error / "unknown_worker" or
  // "worker_not_ready".

  // Makes the pool one of `workers`, overflow and spares not counted. Where workers have died too
  // often to be replaced at once ("restarts_exhausted"), it has all of them tried at once, too.
  // Errors: resource_error / "invalid_pool_size" beyond 1 to Config::kMostWorkers; initialization /
  // "channel_no_memory".
  Result<void> resize(std::uint32_t workers,
                      std::chrono::milliseconds patience = std::chrono::seconds(60));
  // Takes the worker out of the pool, which is smaller by it from then on. Errors also:
  // resource_error / "last_worker".
  Result<void> drain_worker(std::string_view worker,
                            std::chrono::milliseconds patience = std::chrono::seconds(60));
  // Has the worker replaced: it leaves once another one is ready in its stead.
  Result<void> evacuate_worker(std::string_view worker,
                               std::chrono::milliseconds patience = std::chrono::seconds(60));
  // Brings the session to this worker, so that it is warm there, after the calls that arrived
  // before. No use of the session: it expires as if nothing had happened. Errors also: session /
  // "session_not_found", "session_expired"; where it could not be done within `patience`, after
  // which nothing goes on: timeout / "deadline_exceeded", or resource_error / "worker_busy" where
  // the worker had no free slot.
  Result<void> migrate_session(std::string_view id, std::string_view worker,
                               std::chrono::milliseconds patience = std::chrono::seconds(10));
  // Evens out the numbers of warm sessions among the workers, which also happens by itself: after a
  // resize, and where one has half as many again as the mean and 64 more. Returns how many sessions
  // were moved meanwhile.
  Result<std::uint64_t> rebalance(std::chrono::milliseconds patience = std::chrono::seconds(60));
  // Tells `observer` of every session that was moved, one at a time, on a thread of the engine's
  // where it may block and call the engine, but not end it. As long as the subscription lives.
  [[nodiscard]] Subscription observe_migrations(MigrationObserver observer);

  // Creates the session `id` by name. That is needed only for a ttl of its own, and to begin one
  // anew that has expired. Errors: session / "session_exists", "invalid_ttl", resource_error /
  // "too_many_sessions"; where it replaces one, those of `end_session`.
  Result<SessionInfo> create_session(std::string_view id, const SessionOptions& options = {});
  // Uses the session, so that it lives on. Errors: session / "session_not_found",
  // "session_expired".
  Result<void> touch_session(std::string_view id);
  // Lets workers have a session again that was quarantined (SessionInfo::quarantined), and repeats
  // of its calls that were: once what killed workers is mended. Its next call is alone on a worker.
  // Errors: session / "session_not_found", "session_expired".
  Result<void> release_session(std::string_view id);
  // Sessions in the order of their ids, those that begin with `prefix` after `after`, at most
  // `limit`.
  [[nodiscard]] Result<std::vector<std::string>> list_sessions(std::string_view after = {},
                                                               std::size_t limit = 1000,
                                                               std::string_view prefix = {}) const;
  // Errors: session / "session_not_found", "session_expired".
  [[nodiscard]] Result<SessionInfo> get_session(std::string_view id);
  // Ends the session after the calls that arrived before: its state is gone, its id is free.
  // Errors: session / "session_not_found", timeout.
  Result<void> end_session(std::string_view id, const CallOptions& options = {});

  // A session's state without a worker. Both take their turn in its queue, and end as calls do; the
  // answer has the session's version.
  // A map of the fields that are there, of `keys` or all. Errors also: "session_not_found",
  // resource_error / "no_memory_for_fields".
  Result<Answer> read_fields(std::string_view id, const std::vector<std::string>& keys,
                             const CallOptions& options = {});
  Result<Answer> read_fields(std::string_view id, const CallOptions& options = {});
  // One commit, of all or nothing. With `if_version` only on that version. Errors also: session /
  // "version_conflict", "invalid_append", "invalid_update".
  Result<Answer> update_fields(std::string_view id, const FieldUpdate& update,
                               std::optional<std::uint64_t> if_version = {},
                               const CallOptions& options = {});

  // Copies the durable store, as it is at one moment, to a directory that does not exist yet; an
  // engine can be started on it. Errors: "no_store", "backup_failed".
  Result<void> backup(const std::filesystem::path& to);

 private:
  class Parts;
  explicit Engine(std::unique_ptr<Parts> parts) noexcept;

  std::unique_ptr<Parts> parts_;
};

}  // namespace dspool
