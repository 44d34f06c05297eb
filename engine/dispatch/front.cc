#include "engine/dispatch/front.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "dspool/session_id.h"
#include "engine/dispatch/errors.h"
#include "engine/dispatch/receiver.h"

namespace dspool::dispatch {
namespace {

constexpr std::string_view kSetLm = "set_lm";

constexpr std::size_t kMostModelBytes = 8 * 1024;  // of each of its strings
constexpr std::size_t kMostCommandBytes = 1024;
constexpr std::chrono::hours kLongestTimeout{7 * 24};

tl::unexpected<Error> invalid_model(std::string why) {
  return tl::unexpected(Error{.category = ErrorCategory::kInitialization,
                              .code = "invalid_language_model",
                              .message = std::move(why)});
}

Result<LanguageModel> model_from(const Value& args) {
  LanguageModel model;
  if (args.kind() != Kind::kMap) return invalid_model("set_lm takes a map of named arguments");
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string_view name = args.view().key(i);
    const ValueView value = args[i];
    std::string* const text = name == "model"      ? &model.model
                              : name == "api_base" ? &model.api_base
                              : name == "api_key"  ? &model.api_key
                                                   : nullptr;
    if (text == nullptr && name != "temperature") {
      return invalid_model(fmt::format(
          "set_lm does not know '{}': it takes model, api_base, api_key and temperature", name));
    }
    if (value.is_null()) continue;
    const bool number = value.kind() == Kind::kInt || value.kind() == Kind::kDouble;
    if (text != nullptr ? value.kind() != Kind::kString : !number) {
      return invalid_model(fmt::format("set_lm's argument '{}' must be a {}", name,
                                       text != nullptr ? "string" : "number"));
    }
    if (text != nullptr) {
      *text = value.as_string();
    } else {
      model.temperature = value.as_double();
    }
  }
  return model;
}

}  // namespace

Front::Front(const Config& config, Gate& gate, session::SessionTable& sessions,
             ipc::PayloadStore& payloads, Waker& reactor, SetLm set_lm)
    : config_(config),
      gate_(gate),
      sessions_(sessions),
      payloads_(payloads),
      reactor_(reactor),
      set_lm_(std::move(set_lm)) {}

Result<Answer> Front::execute(std::string_view id, std::string_view command, const Value& args,
                              const CallOptions& options) {
  if (auto valid = check_id(id); !valid) return tl::unexpected(std::move(valid.error()));
  return execute_command(id, command, args, options);
}

Result<Answer> Front::execute_anonymous(std::string_view command, const Value& args,
                                        const CallOptions& options) {
  return execute_command({}, command, args, options);
}

Result<Answer> Front::execute_command(std::string_view id, std::string_view command,
                                      const Value& args, const CallOptions& options) {
  if (auto valid = check(command, args, options); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
  if (command == kSetLm) return set_lm_by_command(id, args);
  BlockingCall call;
  call.args = &args;
  prepare(call, command, options);
  if (auto placed = place_arguments(call); !placed) {
    return tl::unexpected(std::move(placed.error()));
  }
  return run(call, id);
}

CallId Front::submit(std::string_view id, std::string_view command, Value args, Completion done,
                     const CallOptions& options) {
  const auto end = [&](Result<Answer> result) {
    gate_.complete(std::move(done), std::move(result));
    return CallId{0};
  };
  if (!id.empty()) {
    if (auto valid = check_id(id); !valid) return end(tl::unexpected(std::move(valid.error())));
  }
  if (auto valid = check(command, args, options); !valid) {
    return end(tl::unexpected(std::move(valid.error())));
  }
  if (command == kSetLm) return end(set_lm_by_command(id, args));
  auto call = std::make_unique<SubmittedCall>();
  call->owned_command = command;
  call->owned_args = std::move(args);
  call->owned_key = options.idempotency_key;
  call->args = &call->owned_args;
  prepare(*call, call->owned_command, options);
  call->idempotency_key = call->owned_key;
  if (auto placed = place_arguments(*call); !placed) {
    return end(tl::unexpected(std::move(placed.error())));
  }
  for (;;) {
    auto session = find_session(id, options.create_session);
    if (!session) return end(tl::unexpected(std::move(session.error())));
    call->session = std::move(*session);
    call->completion = std::move(done);
    std::uint64_t public_id = 0;
    if (gate_.arrive(*call, public_id)) {
      static_cast<void>(call.release());  // it deletes itself once its completion has run
      return CallId{public_id};
    }
    done = std::move(call->completion);
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
  if (!config_.pooling_enabled) return tl::unexpected(errors::pooling_disabled());
  if (auto valid = check_id(id); !valid) return valid;
  BlockingCall call;
  prepare(call, {}, options);
  call.kind = CallKind::kEndSession;
  call.creates_session = false;
  auto ended = run(call, id);
  if (!ended) return tl::unexpected(std::move(ended.error()));
  return {};
}

// ---- the way of a call ----

Result<void> Front::check(std::string_view command, const Value& args,
                          const CallOptions& options) const {
  if (!config_.pooling_enabled) return tl::unexpected(errors::pooling_disabled());
  if (command.empty()) return tl::unexpected(errors::invalid_command());
  if (options.idempotency_key.size() > errors::kMostKeyBytes) {
    return tl::unexpected(errors::invalid_idempotency_key(options.idempotency_key.size()));
  }
  if (command.size() > kMostCommandBytes) return tl::unexpected(errors::invalid_command());
  const std::size_t bytes = args.bytes().size();
  if (bytes > config_.worker.max_payload_bytes) {
    return tl::unexpected(errors::value_too_large(bytes, config_.worker.max_payload_bytes));
  }
  return {};
}

// Arguments that are too long for a ring are put where every worker can read them: by the caller's
// thread, and once, however many attempts there are.
Result<void> Front::place_arguments(Call& call) {
  const auto bytes = std::as_bytes(call.args->bytes());
  if (bytes.size() <= worker::kValueLimitBytes) return {};
  auto placed = payloads_.place(bytes);
  if (!placed) return tl::unexpected(errors::no_payload_memory(placed.error().what));
  call.long_args = std::move(*placed);
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

void Front::prepare(Call& call, std::string_view command, const CallOptions& options) const {
  call.command = command;
  call.max_retries = options.max_retries;
  call.creates_session = options.create_session;
  call.idempotency_key = options.idempotency_key;
  const auto timeout = options.timeout.value_or(config_.operation_timeout);
  call.deadline = Gate::now() + std::min<std::chrono::milliseconds>(timeout, kLongestTimeout);
}

Result<Answer> Front::run(BlockingCall& call, std::string_view id) {
  if (auto valid = check_may_block(); !valid) return tl::unexpected(std::move(valid.error()));
  Gate::Admission admission;
  do {
    auto session = find_session(id, call.creates_session);
    if (!session) return tl::unexpected(std::move(session.error()));
    call.session = std::move(*session);
    admission = gate_.arrive(call);
  } while (admission.gone);
  if (admission.to_read) {
    receive_until_done(gate_, *admission.to_read, call, reactor_, admission.crowded);
  } else {
    call.done.wait(0, std::memory_order_acquire);
  }
  return std::move(*call.result);
}

// ---- the command that no worker sees ----

Result<void> Front::set_lm(const LanguageModel& model) const {
  if (!config_.pooling_enabled) return tl::unexpected(errors::pooling_disabled());
  if (model.model.empty()) {
    return invalid_model("a language model must have a name, for instance \"openai/gpt-4o-mini\"");
  }
  if (std::max({model.model.size(), model.api_base.size(), model.api_key.size()}) >
      kMostModelBytes) {
    return invalid_model(
        fmt::format("a language model's name, api_base and api_key have at most {} bytes each",
                    kMostModelBytes));
  }
  set_lm_(model);
  return {};
}

Result<Answer> Front::set_lm_by_command(std::string_view id, const Value& args) const {
  if (!id.empty()) {
    return tl::unexpected(
        Error{.category = ErrorCategory::kSession,
              .code = "invalid_arguments",
              .message = fmt::format("set_lm sets the language model of the whole pool, not of "
                                     "session '{}': call Engine::set_lm or execute_anonymous",
                                     id)});
  }
  const Result<LanguageModel> model = model_from(args);
  if (!model) return tl::unexpected(model.error());
  if (auto set = set_lm(*model); !set) return tl::unexpected(std::move(set.error()));
  return Answer{.value = Value{{"status", "configured"}, {"model", model->model}}};
}

}  // namespace dspool::dispatch
