#include "bench/loadtest/options.h"

#include <fmt/format.h>

#include <string_view>

namespace dspool::loadtest {
namespace {

// The configuration's limits.
constexpr std::uint32_t kMostWorkers = 1024;
constexpr std::uint32_t kMostInFlight = 256;

constexpr std::uint32_t kMostSessions = 10'000'000;
constexpr std::uint32_t kMostOutstanding = 100'000;
constexpr double kMostPayloadBytes = 512.0 * 1024 * 1024;
constexpr double kHighestZipf = 5;
constexpr double kLongestSeconds = 7 * 24 * 3600;

// Two options of which only one may be given, and why.
struct Conflict {
  bool first;
  std::string_view first_name;
  bool second;
  std::string_view second_name;
  std::string_view why;
};

Result<void> check_conflicts(const Options& o) {
  const bool trace = !o.trace_file.empty();
  const bool questions = !o.questions_file.empty();
  const bool own_adapter = o.adapter.value_or("loadtest") != "loadtest";
  const Conflict conflicts[] = {
      {o.rate.has_value(), "--rate", o.concurrency.has_value(), "--concurrency",
       "a load is either open (operations arrive at a rate) or closed (a number is outstanding)"},
      {o.overload.has_value(), "--overload", o.rate.has_value(), "--rate",
       "each of them says how many operations arrive"},
      {o.overload.has_value(), "--overload", o.concurrency.has_value(), "--concurrency",
       "a load is either open (operations arrive at a rate) or closed (a number is outstanding)"},
      {o.overload.has_value(), "--overload", trace, "--trace",
       "the trace says when operations arrive; change its pace with --speedup"},
      {o.overload.has_value(), "--overload", o.churn_seconds.has_value(), "--churn",
       "what the pool can do is to stay as it is while more is asked of it"},
      {trace, "--trace", questions, "--questions", "each of them says what the operations are"},
      {trace, "--trace", o.rate.has_value(), "--rate",
       "the trace says when operations arrive; change its pace with --speedup"},
      {trace, "--trace", o.concurrency.has_value(), "--concurrency",
       "the trace says when operations arrive; change its pace with --speedup"},
      {trace, "--trace", o.ops.has_value(), "--ops",
       "the trace says how many operations there are; end it earlier with --duration"},
      {trace, "--trace", !o.args.empty(), "--args", "the trace says how large arguments are"},
      {questions, "--questions", o.ops.has_value(), "--ops",
       "a conversation has as many operations as it has turns"},
      {questions, "--questions", !o.args.empty(), "--args", "a turn is its operation's argument"},
      {questions, "--questions", o.zipf.has_value(), "--zipf",
       "each conversation is held once, from its first turn to its last"},
      {!o.api_base.empty(), "--api-base", o.offline_latency_ms.has_value(), "--offline-latency-ms",
       "with an API of your own, the offline model is not started"},
      {!o.api_base.empty(), "--api-base", !own_adapter, "--adapter loadtest",
       "that adapter asks no language model"},
      {!own_adapter, "--adapter loadtest", o.offline_latency_ms.has_value(), "--offline-latency-ms",
       "that adapter asks no language model"},
  };
  for (const Conflict& conflict : conflicts) {
    if (conflict.first && conflict.second) {
      return invalid_options(fmt::format("{} and {} exclude each other: {}", conflict.first_name,
                                         conflict.second_name, conflict.why));
    }
  }
  if (questions && !own_adapter && o.command.empty()) {
    return invalid_options(
        "--questions needs --adapter dspy, or --command: which one answers them");
  }
  if (o.payload_bytes && (own_adapter || trace || questions || !o.command.empty())) {
    return invalid_options(
        "--payload-bytes goes with the increments of --adapter loadtest, and with no other "
        "command");
  }
  if (o.service_ms && (own_adapter || questions || !o.command.empty() || o.payload_bytes)) {
    return invalid_options(
        "--service-ms goes with the increments of --adapter loadtest, and with no other command "
        "and no --payload-bytes");
  }
  if (o.service_ms && !o.args.empty()) {
    return invalid_options("--service-ms and --args exclude each other: each is the arguments");
  }
  if (o.overload && !o.service_ms) {
    return invalid_options(
        "--overload needs --service-ms: what a pool can do depends on how long commands take");
  }
  if (o.payload_bytes && !o.args.empty()) {
    return invalid_options("--payload-bytes and --args exclude each other: each is the arguments");
  }
  if (o.speedup && !trace) return invalid_options("--speedup changes the pace of a --trace");
  if (!o.api_base.empty() && o.model.empty()) {
    return invalid_options("--api-base needs --model, as LiteLLM names it: openai/gpt-4o-mini");
  }
  if (o.api_base.empty() && !o.model.empty()) {
    return invalid_options("--model needs --api-base: the offline model has no other name");
  }
  return {};
}

Result<void> check_range(std::string_view name, std::optional<double> value, double least,
                         double most) {
  if (!value || (*value >= least && *value <= most)) return {};
  return invalid_options(
      fmt::format("{} must be between {} and {}, not {}", name, least, most, *value));
}

Result<void> check_ranges(const Options& o) {
  constexpr double kLeast = 1e-3;
  const auto as_double = [](const auto& value) {
    return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
  };
  return check_range("--workers", as_double(o.workers), 1, kMostWorkers)
      .and_then([&] {
        return check_range("--max-in-flight", as_double(o.max_in_flight), 1, kMostInFlight);
      })
      .and_then([&] { return check_range("--sessions", as_double(o.sessions), 1, kMostSessions); })
      .and_then([&] { return check_range("--ops", as_double(o.ops), 1, 1e12); })
      .and_then([&] {
        return check_range("--concurrency", as_double(o.concurrency), 1, kMostOutstanding);
      })
      .and_then([&] { return check_range("--rate", o.rate, kLeast, kHighestRate); })
      .and_then([&] { return check_range("--overload", o.overload, 0.01, 100); })
      .and_then([&] { return check_range("--service-ms", o.service_ms, 1, 60'000); })
      .and_then([&] { return check_range("--zipf", o.zipf, 0, kHighestZipf); })
      .and_then([&] { return check_range("--speedup", o.speedup, kLeast, 1e6); })
      .and_then(
          [&] { return check_range("--duration", o.duration_seconds, kLeast, kLongestSeconds); })
      .and_then([&] { return check_range("--warmup", o.warmup_seconds, 0, kLongestSeconds); })
      .and_then(
          [&] { return check_range("--kill-every", o.kill_every_seconds, 0.1, kLongestSeconds); })
      .and_then([&] {
        return check_range("--kill-half-at", o.kill_half_at_seconds, 0.1, kLongestSeconds);
      })
      .and_then([&] { return check_range("--churn", o.churn_seconds, 0.1, kLongestSeconds); })
      .and_then([&] {
        return check_range("--payload-bytes", as_double(o.payload_bytes), 1, kMostPayloadBytes);
      })
      .and_then([&] { return check_range("--timeout", as_double(o.timeout_ms), 1, 86'400'000); })
      .and_then([&] {
        return check_range("--offline-latency-ms", as_double(o.offline_latency_ms), 0, 60'000);
      });
}

Result<void> check_adapter(const Options& o) {
  const std::string adapter = o.adapter.value_or("loadtest");
  if (adapter == "loadtest" || adapter == "dspy") return {};
  const std::size_t colon = adapter.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == adapter.size()) {
    return invalid_options(fmt::format(
        "--adapter must be loadtest, dspy, or package.module:Class, not '{}'", adapter));
  }
  if (o.command.empty()) {
    return invalid_options(
        fmt::format("--adapter {} needs --command: which of its methods to call", adapter));
  }
  return {};
}

}  // namespace

bool disturbs(const Options& options) noexcept {
  return options.kill_every_seconds || options.kill_half_at_seconds || options.churn_seconds;
}

Result<void> validate(const Options& options) {
  return check_adapter(options).and_then([&] { return check_conflicts(options); }).and_then([&] {
    return check_ranges(options);
  });
}

}  // namespace dspool::loadtest
