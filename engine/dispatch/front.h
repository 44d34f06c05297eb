// What callers meet: checks a request, finds its session, and lets it take its way.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

#include "dspool/call.h"
#include "dspool/config.h"
#include "dspool/error.h"
#include "dspool/stats.h"
#include "engine/dispatch/gate.h"
#include "engine/dispatch/waker.h"
#include "engine/session/session.h"

namespace dspool::dispatch {

class Front {
 public:
  // Puts a model in force.
  using SetLm = std::function<void(const LanguageModel&)>;
  Front(const Config& config, Gate& gate, session::SessionTable& sessions,
        ipc::PayloadStore& payloads, Waker& reactor, SetLm set_lm);

  Result<Answer> execute(std::string_view id, std::string_view command, const Value& args,
                         const CallOptions& options);
  Result<Answer> execute_anonymous(std::string_view command, const Value& args,
                                   const CallOptions& options);
  CallId submit(std::string_view id, std::string_view command, Value args, Completion done,
                const CallOptions& options);
  bool cancel(CallId call);
  // Also the command of that name, which every adapter has and no worker sees: the keys in it are
  // the engine's to hold. Errors: initialization / "invalid_language_model".
  Result<void> set_lm(const LanguageModel& model) const;
  Result<SessionInfo> get_session(std::string_view id) const;
  Result<void> end_session(std::string_view id, const CallOptions& options);

 private:
  [[nodiscard]] Result<void> check(std::string_view command, const Value& args,
                                   const CallOptions& options) const;
  [[nodiscard]] static Result<void> check_id(std::string_view id);
  [[nodiscard]] Result<void> check_may_block() const;
  // An empty id: a temporary session.
  Result<session::SessionRef> find_session(std::string_view id, bool create);
  Result<Answer> execute_command(std::string_view id, std::string_view command, const Value& args,
                                 const CallOptions& options);
  void prepare(Call& call, std::string_view command, const CallOptions& options) const;
  Result<void> place_arguments(Call& call);
  Result<Answer> run(BlockingCall& call, std::string_view id);
  [[nodiscard]] Result<Answer> set_lm_by_command(std::string_view id, const Value& args) const;

  const Config& config_;
  Gate& gate_;
  session::SessionTable& sessions_;
  ipc::PayloadStore& payloads_;
  Waker& reactor_;
  SetLm set_lm_;
};

}  // namespace dspool::dispatch
