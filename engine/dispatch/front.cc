#include "engine/dispatch/front.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>

#include "dspool/session_id.h"
#include "engine/dispatch/errors.h"
#include "engine/dispatch/receiver.h"

namespace dspool::dispatch {
namespace {

constexpr std::string_view kSetLm = "set_lm";

LanguageModel model_from(const Value& args) {
  LanguageModel model{.model = std::string(args["model"].as_string()),
                      .api_base = std::string(args["api_base"].as_string()),
                      .api_key = std::string(args["api_key"].as_string())};
  if (args.contains("temperature")) model.temperature = args["temperature"].as_double();
  return model;
}

}  // namespace

Front::Front(const Config& config, Gate& gate, session::SessionTable& sessions, Waker& reactor,
             SetLm set_lm)
    : config_(config),
      gate_(gate),
      sessions_(sessions),
      reactor_(reactor),
      set_lm_(std::move(set_lm)) {}

Result<Answer> Front::execute(std::string_view id, std::string_view command, const Value& args,
                              const CallOptions& options) {
  if (auto valid = check_id(id); !valid) return tl::unexpected(std::move(valid.error()));
  if (command == kSetLm) return set_lm_by_command(id, args);
  if (auto valid = check(command, args); !valid) return tl::unexpected(std::move(valid.error()));
  BlockingCall call;
  prepare(call, command, args, options);
  return run(call, id, options.create_session);
}

Result<Answer> Front::execute_anonymous(std::string_view command, const Value& args,
                                        const CallOptions& options) {
  if (command == kSetLm) return set_lm_by_command({}, args);
  if (auto valid = check(command, args); !valid) return tl::unexpected(std::move(valid.error()));
  BlockingCall call;
  prepare(call, command, args, options);
  return run(call, {}, true);
}

CallId Front::submit(std::string_view id, std::string_view command, Value args, Completion done,
                     const CallOptions& options) {
  const auto refuse = [&](Error error) {
    gate_.refuse(std::move(done), std::move(error));
    return CallId{0};
  };
  if (!id.empty()) {
    if (auto valid = check_id(id); !valid) return refuse(std::move(valid.error()));
  }
  if (auto valid = check(command, args); !valid) return refuse(std::move(valid.error()));
  auto call = std::make_unique<SubmittedCall>();
  call->owned_command = command;
  call->owned_args = std::move(args);
  prepare(*call, call->owned_command, call->owned_args, options);
  call->completion = std::move(done);
  for (;;) {
    auto session = find_session(id, options.create_session);
    if (!session) {
      done = std::move(call->completion);
      return refuse(std::move(session.error()));
    }
    call->session = std::move(*session);
    std::uint64_t public_id = 0;
    if (!gate_.arrive(*call, public_id)) continue;
    static_cast<void>(call.release());  // it deletes itself once its completion has run
    return CallId{public_id};
  }
}

bool Front::cancel(CallId call) { return gate_.cancel(static_cast<std::uint64_t>(call)); }

Result<SessionInfo> Front::get_session(std::string_view id) const {
  const session::SessionRef session = sessions_.find(id);
  if (!session) return tl::unexpected(errors::session_not_found(id));
  return gate_.ask([&](const Dispatcher& dispatcher, TimePoint now) {
    return dispatcher.describe(*session, now);
  });
}

Result<void> Front::end_session(std::string_view id, const CallOptions& options) {
  BlockingCall call;
  prepare(call, {}, Value(), options);
  call.kind = CallKind::kEndSession;
  auto ended = run(call, id, false);
  if (!ended) return tl::unexpected(std::move(ended.error()));
  return {};
}

// ---- the way of a call ----

Result<void> Front::check(std::string_view command, const Value& args) const {
  if (!config_.pooling_enabled) return tl::unexpected(errors::pooling_disabled());
  if (command.empty()) return tl::unexpected(errors::invalid_command());
  const std::size_t bytes = args.bytes().size() + command.size();
  if (bytes > worker::kValueLimitBytes) {
    return tl::unexpected(
        errors::value_too_large("the command with its arguments", bytes, worker::kValueLimitBytes));
  }
  return {};
}

Result<void> Front::check_id(std::string_view id) {
  if (!SessionId::valid(id)) return tl::unexpected(errors::invalid_session_id(id.size()));
  return {};
}

// A blocking call on the reactor waits for a thread that waits for it.
Result<void> Front::check_may_block() const {
  if (reactor_.is_owner()) return tl::unexpected(errors::would_deadlock());
  return {};
}

Result<session::SessionRef> Front::find_session(std::string_view id, bool create) {
  if (id.empty()) return session::make_session({}, Gate::now());
  if (create) {
    return sessions_.find_or_create(id, [&] { return session::make_session(id, Gate::now()); })
        .first;
  }
  session::SessionRef session = sessions_.find(id);
  if (!session) return tl::unexpected(errors::session_not_found(id));
  return session;
}

void Front::prepare(Call& call, std::string_view command, const Value& args,
                    const CallOptions& options) const {
  call.command = command;
  call.args = &args;
  call.max_retries = options.max_retries;
  call.deadline = Gate::now() + options.timeout.value_or(config_.operation_timeout);
}

Result<Answer> Front::run(BlockingCall& call, std::string_view id, bool create) {
  if (auto valid = check_may_block(); !valid) return tl::unexpected(std::move(valid.error()));
  Gate::Admission admission;
  do {
    auto session = find_session(id, create);
    if (!session) return tl::unexpected(std::move(session.error()));
    call.session = std::move(*session);
    admission = gate_.arrive(call);
  } while (admission.gone);
  if (admission.to_read) {
    receive_until_done(gate_, *admission.to_read, call, reactor_);
  } else {
    call.done.wait(0, std::memory_order_acquire);
  }
  return std::move(*call.result);
}

// ---- the command that no worker sees ----

Result<Answer> Front::set_lm_by_command(std::string_view id, const Value& args) {
  if (!id.empty()) {
    return tl::unexpected(
        Error{.category = ErrorCategory::kSession,
              .code = "invalid_arguments",
              .message = fmt::format("set_lm sets the language model of the whole pool, not of "
                                     "session '{}': call Engine::set_lm or execute_anonymous",
                                     id)});
  }
  LanguageModel model = model_from(args);
  const std::string name = model.model;
  if (auto set = set_lm_(std::move(model)); !set) return tl::unexpected(std::move(set.error()));
  return Answer{.value = Value{{"status", "configured"}, {"model", name}}};
}

}  // namespace dspool::dispatch
