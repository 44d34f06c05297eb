#include "bench/loadtest/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bench/loadtest/session_picker.h"
#include "dspool/session_id.h"
#include "engine/load/trace.h"

namespace dspool::loadtest {
namespace {

using Args = std::function<Value(const Start&)>;

constexpr double kUsualSleepMs = 10;

Elapsed elapsed(double value) {
  return std::chrono::duration_cast<Elapsed>(std::chrono::duration<double>(value));
}

Window window_of(const Options& options) {
  const Elapsed warmup = elapsed(options.warmup_seconds);
  const Elapsed duration = options.duration_seconds            ? elapsed(*options.duration_seconds)
                           : disturbs(options) && !options.ops ? Elapsed(kDisturbedDuration)
                                                               : Elapsed(kDefaultDuration);
  return Window{.warmup = warmup, .end = warmup + duration};
}

std::string command_of(const Options& options) {
  if (!options.command.empty()) return options.command;
  return options.adapter == "dspy" || !options.questions_file.empty() ? "predict" : "increment";
}

Check check_of(const Options& options, std::string_view command) {
  // With arguments of one's own, what an increment adds may be another number than one.
  if (command == "increment") return options.args.empty() ? Check::kCounter : Check::kEachCommits;
  if (command == "predict" && options.adapter == "dspy") return Check::kEachCommits;
  return Check::kVersionsOnly;
}

std::vector<std::string> made_up_ids(std::uint32_t sessions) {
  std::vector<std::string> ids;
  ids.reserve(sessions);
  for (std::uint32_t i = 0; i < sessions; ++i) ids.push_back(fmt::format("load-{:06}", i));
  return ids;
}

Args same_for_all(Value args) {
  return [args = std::move(args)](const Start&) { return args; };
}

Result<Args> args_of(const Options& options, std::string_view command) {
  if (!options.args.empty()) {
    Result<Value> args = Value::parse_json(options.args);
    if (!args) return invalid_options("--args: " + args.error().message);
    if (args->kind() != Kind::kMap) return invalid_options("--args must be a JSON object");
    return same_for_all(*std::move(args));
  }
  if (options.service_ms) return same_for_all(Value{{"service_ms", *options.service_ms}});
  if (command == "sleep") return same_for_all(Value{{"ms", kUsualSleepMs}});
  if (command != "predict") return same_for_all(Value());
  return [](const Start& start) {
    return Value{{"question", made_up_question(start.session, start.index)}};
  };
}

// A question of about this many bytes.
std::string question_of(std::uint64_t session, std::size_t bytes) {
  std::string question;
  for (std::uint64_t turn = 0; question.size() < bytes; ++turn) {
    question.append(made_up_question(session, turn)).append(" ");
  }
  question.resize(bytes);
  return question;
}

Result<Workload> make_replay(const Options& options) {
  Result<load::Trace> read = load::read_trace(options.trace_file);
  if (!read) return tl::unexpected(read.error());
  const auto trace = std::make_shared<load::Trace>(*std::move(read));
  Workload workload{.session_ids = trace->session_ids, .command = command_of(options)};
  if (workload.session_ids.empty()) {
    const std::uint32_t sessions = options.sessions.value_or(kDefaultSessions);
    workload.session_ids = made_up_ids(sessions);
    Zipf zipf(sessions, options.zipf.value_or(0), std::nullopt, options.seed);
    for (load::Arrival& arrival : trace->arrivals) arrival.session = zipf.draw();
  } else if (options.sessions || options.zipf) {
    return invalid_options(
        fmt::format("{} names its sessions: leave out --sessions and --zipf", options.trace_file));
  }
  Value increment = options.service_ms ? Value{{"service_ms", *options.service_ms}} : Value();
  workload.args = [trace, command = workload.command,
                   increment = std::move(increment)](const Start& start) {
    const load::Arrival& arrival = trace->arrivals[start.index];
    if (command == "increment") return increment;  // it carries nothing: only the arrivals count
    if (command == "predict") {
      return Value{{"question", question_of(arrival.session, arrival.input_bytes)}};
    }
    return Value{{"payload", std::string(arrival.input_bytes, 'x')},
                 {"output_bytes", arrival.output_bytes}};
  };
  workload.check = check_of(options, workload.command);
  workload.window = window_of(options);
  workload.schedule =
      std::make_unique<Replay>(trace->arrivals, options.speedup.value_or(1), workload.window);
  workload.total_operations = trace->arrivals.size();
  return workload;
}

// The file's conversations, from the start again where more sessions are asked for than it has.
Result<std::vector<Conversation>> conversations_of(const Options& options) {
  Result<std::vector<Conversation>> file = read_conversations(options.questions_file);
  if (!file || !options.sessions) return file;
  std::vector<Conversation> conversations;
  for (std::uint32_t i = 0; i < *options.sessions; ++i) {
    conversations.push_back((*file)[i % file->size()]);
  }
  return conversations;
}

void set_schedule(Workload& workload, const Options& options,
                  std::unique_ptr<SessionPicker> picker) {
  const auto sessions = static_cast<std::uint32_t>(workload.session_ids.size());
  if (workload.window.warmup == Elapsed::zero()) workload.total_operations = picker->left();
  if (options.rate) {
    workload.schedule = std::make_unique<OpenLoop>(std::move(picker), sessions, *options.rate,
                                                   workload.window, options.seed);
  } else {
    workload.schedule = std::make_unique<ClosedLoop>(
        std::move(picker), sessions, options.concurrency.value_or(kDefaultConcurrency),
        workload.window);
  }
}

std::unique_ptr<SessionPicker> turn_by_turn(const std::vector<Conversation>& conversations) {
  std::vector<std::uint64_t> turns;
  turns.reserve(conversations.size());
  for (const Conversation& conversation : conversations) turns.push_back(conversation.turns.size());
  return std::make_unique<RoundRobin>(std::move(turns));
}

Result<Workload> make_conversations(const Options& options) {
  Result<std::vector<Conversation>> read = conversations_of(options);
  if (!read) return tl::unexpected(read.error());
  std::vector<Conversation> conversations = *std::move(read);
  Workload workload{.command = command_of(options), .window = window_of(options)};
  workload.check = check_of(options, workload.command);
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    workload.session_ids.push_back(fmt::format("conversation-{}-{}", i, conversations[i].name));
    workload.session_ids.back().resize(
        std::min(workload.session_ids.back().size(), SessionId::kMaxBytes));
  }
  set_schedule(workload, options, turn_by_turn(conversations));
  workload.args = [conversations = std::move(conversations)](const Start& start) {
    return Value{{"question", conversations[start.session].turns[start.index]}};
  };
  return workload;
}

// The same operation again and again, or made up questions.
Result<Workload> make_repetition(const Options& options) {
  Workload workload{.command = command_of(options), .window = window_of(options)};
  workload.check = check_of(options, workload.command);
  if (options.payload_bytes) {
    workload.payloads = std::make_shared<Payloads>(*options.payload_bytes, options.seed);
    workload.args = [payloads = workload.payloads](const Start& start) {
      return payloads->args(start);
    };
  } else {
    Result<Args> args = args_of(options, workload.command);
    if (!args) return tl::unexpected(args.error());
    workload.args = *std::move(args);
  }
  const std::uint32_t sessions = options.sessions.value_or(kDefaultSessions);
  workload.session_ids = made_up_ids(sessions);
  // With a duration only, the number of operations has no limit of its own.
  const bool has_bound = options.ops || options.duration_seconds || disturbs(options);
  const std::optional<std::uint64_t> ops = has_bound ? options.ops : std::optional(kDefaultOps);
  std::unique_ptr<SessionPicker> picker;
  if (options.zipf) {
    const std::optional<std::uint64_t> total = ops ? std::optional(*ops * sessions) : std::nullopt;
    picker = std::make_unique<Zipf>(sessions, *options.zipf, total, options.seed);
  } else {
    picker = std::make_unique<RoundRobin>(sessions, ops);
  }
  set_schedule(workload, options, std::move(picker));
  return workload;
}

}  // namespace

OrderChecker::Rule rule_of(Check check) {
  return check == Check::kVersionsOnly ? OrderChecker::Rule::kNeverBack
                                       : OrderChecker::Rule::kEachCountsOne;
}

Result<Workload> make_workload(const Options& options) {
  if (!options.trace_file.empty()) return make_replay(options);
  if (!options.questions_file.empty()) return make_conversations(options);
  return make_repetition(options);
}

}  // namespace dspool::loadtest
