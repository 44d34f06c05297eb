// What callers meet: checks a request, finds its session, and lets it take its way.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/call.h"
#include "dspool/config.h"
#include "dspool/error.h"
#include "dspool/session.h"
#include "engine/dispatch/census.h"
#include "engine/dispatch/gate.h"
#include "engine/dispatch/waker.h"
#include "engine/session/session.h"

namespace dspool::dispatch {

class Front {
 public:
  // `census` null: there is no durable store.
  Front(const Config& config, Gate& gate, session::SessionTable& sessions,
        session::Tombstones& tombstones, ipc::PayloadStore& payloads, ipc::StateSegment& segment,
        Waker& reactor, const Census* census);

  Result<Answer> execute(std::string_view id, std::string_view command, const Value& args,
                         const CallOptions& options);
  Result<Answer> execute_anonymous(std::string_view command, const Value& args,
                                   const CallOptions& options);
  CallId submit(std::string_view id, std::string_view command, Value args, Completion done,
                const CallOptions& options);
  bool cancel(CallId call);
  // These are also the commands set_lm and configure_lm, which every pool has and no worker sees:
  // the keys in them are the engine's to hold. Errors: initialization / "invalid_language_model".
  Result<void> set_lm(const LanguageModel& model) const;
  Result<Answer> set_session_lm(std::string_view id, const std::optional<LanguageModel>& model,
                                const CallOptions& options);
  Result<SessionInfo> create_session(std::string_view id, const SessionOptions& options);
  Result<void> touch_session(std::string_view id);
  Result<void> release_session(std::string_view id);
  Result<SessionInfo> get_session(std::string_view id);
  // Brings the session to the worker in this place; `from` becomes where it was warm. false: it was
  // warm there already, or has no fields to bring. Errors: resource_error / "worker_busy" where
  // that had no free slot up to the deadline; as get_session.
  Result<bool> migrate_session(std::string_view id, std::uint32_t worker,
                               std::chrono::milliseconds patience,
                               std::optional<std::uint32_t>& from);
  Result<void> end_session(std::string_view id, const CallOptions& options);
  Result<std::vector<std::string>> list_sessions(std::string_view after, std::size_t limit,
                                                 std::string_view prefix) const;
  // Null keys: all fields.
  Result<Answer> read_fields(std::string_view id, const std::vector<std::string>* keys,
                             const CallOptions& options);
  Result<Answer> update_fields(std::string_view id, const FieldUpdate& update,
                               std::optional<std::uint64_t> if_version, const CallOptions& options);

 private:
  Result<Answer> execute_streaming(std::string_view id, std::string_view command, const Value& args,
                                   const CallOptions& options);
  CallId submit(std::string_view id, std::string_view command, Value args, Completion done,
                const CallOptions& options, const Gate::Executor& chunks_run_on);
  [[nodiscard]] Result<void> check(std::string_view command, const Value& args,
                                   const CallOptions& options) const;
  [[nodiscard]] static Result<void> check_id(std::string_view id);
  [[nodiscard]] static Result<void> check_key(std::string_view idempotency_key);
  [[nodiscard]] Result<void> check_may_block() const;
  [[nodiscard]] Error no_session(std::string_view id) const;
  struct Found {
    session::SessionRef session;  // null: none may be made, for `refusal`
    bool is_new = false;
    Error refusal;
  };
  struct Terms {
    std::chrono::milliseconds ttl;
    Durability durability;
  };
  Found find_or_create(std::string_view id, const Terms& terms, bool anew);
  [[nodiscard]] bool may_be_at_rest() const noexcept;
  [[nodiscard]] bool take_turn(BlockingCall& call, CallKind kind,
                               const session::SessionRef& session, const SessionTerms& terms);
  // A turn in the session's queue that ends once it is known whether there is such a session.
  Result<void> visit(BlockingCall& call, std::string_view id, const CallOptions& options = {});
  // An empty id: a temporary session.
  Result<session::SessionRef> find_session(std::string_view id, bool create);
  Result<session::SessionRef> find_or_make_session(std::string_view id, bool create);
  Result<Answer> execute_command(std::string_view id, std::string_view command, const Value& args,
                                 const CallOptions& options);
  void prepare(Call& call, std::string_view command, const CallOptions& options) const;
  Result<void> place_arguments(Call& call);
  Result<Answer> run(BlockingCall& call, std::string_view id);
  CallId submit(std::string_view id, std::unique_ptr<SubmittedCall> call, Completion done,
                const Gate::Executor& runs_on);
  CallId refuse(Completion done, Result<Answer> result, const Gate::Executor& runs_on) const;
  Result<Answer> set_lm_by_command(std::string_view id, const Value& args,
                                   const CallOptions& options);
  CallId submit_set_lm(std::string_view id, const Value& args, Completion done,
                       const CallOptions& options);
  [[nodiscard]] Result<Answer> set_pool_lm(LanguageModel model) const;
  void prepare_set_lm(Call& call, const LanguageModel* model, const CallOptions& options) const;

  const Config& config_;
  Gate& gate_;
  session::SessionTable& sessions_;
  session::Tombstones& tombstones_;
  ipc::PayloadStore& payloads_;
  ipc::StateSegment& segment_;
  Waker& reactor_;
  const Census* const census_;
};

}  // namespace dspool::dispatch
