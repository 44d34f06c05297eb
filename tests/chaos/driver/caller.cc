#include "tests/chaos/driver/caller.h"

#include <utility>

#include "tests/chaos/driver/clock.h"

namespace dspool::chaos {
namespace {

// `told`: as it is written down.
std::string args_json(const Operation& operation, bool told) {
  JsonObject args;
  if (operation.token != 0) args.number("token", static_cast<std::int64_t>(operation.token));
  if (operation.by != 0) args.number("by", operation.by);
  if (operation.padding != 0 && told) {
    args.number("padding_bytes", static_cast<std::int64_t>(operation.padding));
  } else if (operation.padding != 0) {
    args.text("padding", std::string(operation.padding, 'x'));
  }
  std::string text = std::move(args).take();
  if (operation.more.empty()) return text;
  text.pop_back();
  return text + (text.size() > 1 ? "," : "") + operation.more + "}";
}

Value args_of(const Operation& operation) {
  return Value::parse_json(args_json(operation, false)).value();
}

std::string_view name_of(const Operation& operation) {
  switch (operation.kind) {
    case Operation::Kind::kExecute:
      return operation.command;
    case Operation::Kind::kReadFields:
      return "engine.read_fields";
    case Operation::Kind::kAppend:
      return "engine.append";
    case Operation::Kind::kEndSession:
      return "engine.end_session";
    case Operation::Kind::kCreateSession:
      return "engine.create_session";
  }
  return "unknown";
}

CallOptions options_of(const Operation& operation) {
  CallOptions options = operation.options;
  if (!options.timeout) options.timeout = Caller::kTimeout;
  return options;
}

Result<Answer> answer_of(Result<void> result) {
  return std::move(result).map([] { return Answer{}; });
}

}  // namespace

std::uint64_t Caller::begin(const Operation& operation) {
  std::uint64_t call = 0;
  {
    const std::lock_guard lock(mutex_);
    call = ++begun_;
    ++outstanding_;
  }
  JsonObject line;
  line.text("type", "invoke")
      .number("call", static_cast<std::int64_t>(call))
      .text("session", operation.session)
      .text("command", name_of(operation))
      .raw("args", args_json(operation, true))
      .text("key", operation.options.idempotency_key)
      .number("max_retries", operation.options.max_retries);
  if (operation.kind != Operation::Kind::kCreateSession) {
    line.number("timeout_ms", options_of(operation).timeout->count());
  }
  if (operation.ttl) line.number("ttl_ms", operation.ttl->count());
  line.number("time_ns", now_ns());  // last: nothing has happened before
  calls_.write(std::move(line).take());
  return call;
}

void Caller::end(std::uint64_t call, const Result<Answer>& result) {
  const std::int64_t time_ns = now_ns();  // first: what comes is ours
  JsonObject line;
  line.text("type", "return").number("call", static_cast<std::int64_t>(call));
  line.number("time_ns", time_ns);
  if (result) {
    line.text("code", "ok")
        .number("version", static_cast<std::int64_t>(result->version))
        .number("attempts", result->attempts)
        .text("worker", result->worker)
        .raw("value", result->value.to_json());
  } else {
    const Error& error = result.error();
    line.text("code", error.code)
        .text("state_applied", to_string(error.state_applied))
        .number("attempts", error.attempts)
        .text("worker", error.worker)
        .text("message", error.message);
  }
  calls_.write(std::move(line).take());
  const std::lock_guard lock(mutex_);
  if (outstanding_ != 0) --outstanding_;  // one that ended twice is the checker's business
  ended_.notify_all();
}

Result<Answer> Caller::carry_out(const Operation& operation, const CallOptions& options) {
  switch (operation.kind) {
    case Operation::Kind::kExecute: {
      const Value args = args_of(operation);
      if (operation.session.empty()) {
        return engine_.execute_anonymous(operation.command, args, options);
      }
      return engine_.execute_in_session(operation.session, operation.command, args, options);
    }
    case Operation::Kind::kReadFields:
      return engine_.read_fields(operation.session, {"born", "log", "count"}, options);
    case Operation::Kind::kAppend: {
      const auto token = static_cast<std::int64_t>(operation.token);
      const FieldUpdate update{.appends = {{"log", Value::list({token})}}};
      return engine_.update_fields(operation.session, update, {}, options);
    }
    case Operation::Kind::kEndSession:
      return answer_of(engine_.end_session(operation.session, options));
    case Operation::Kind::kCreateSession: {
      const SessionOptions terms{.ttl = operation.ttl};
      return engine_.create_session(operation.session, terms).map([](const SessionInfo& info) {
        return Answer{.version = info.version};
      });
    }
  }
  return Answer{};
}

Result<Answer> Caller::call(const Operation& operation) {
  const std::uint64_t call = begin(operation);
  Result<Answer> result = carry_out(operation, options_of(operation));
  end(call, result);
  return result;
}

CallId Caller::submit(const Operation& operation, std::function<void()> done) {
  const std::uint64_t call = begin(operation);
  return engine_.submit(
      operation.session, operation.command, args_of(operation),
      [this, call, done = std::move(done)](const Result<Answer>& result) {
        end(call, result);
        if (done) done();
      },
      options_of(operation));
}

std::uint64_t Caller::outstanding() const {
  const std::lock_guard lock(mutex_);
  return outstanding_;
}

bool Caller::wait_for_at_most(std::uint64_t outstanding, std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, patience, [&] { return outstanding_ <= outstanding; });
}

}  // namespace dspool::chaos
