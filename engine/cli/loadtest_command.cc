#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "bench/loadtest/console.h"
#include "bench/loadtest/loadtest.h"
#include "bench/loadtest/options.h"
#include "bench/loadtest/report.h"
#include "engine/cli/command.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/pool_options.h"
#include "engine/cli/python_tree.h"

namespace dspool::cli {
namespace {

constexpr const char* kFooter =
    "Latencies are those of successes: from submission in the closed loop, from the time at which\n"
    "the operation should have started in the open loop and with a trace. Operations are calls,\n"
    "however many attempts they took. A run stops after ten minutes unless --duration says\n"
    "otherwise, and with Ctrl-C, and reports what it has.\n"
    "\n"
    "Exit status: 0 nothing lost, duplicated, out of order, crossed or damaged (calls may fail);\n"
    "1 something was; 2 the options are wrong; 3 the pool could not be started; 4 nothing was, "
    "but\n"
    "sessions did not tell their state at the end: only their answers were checked.\n"
    "\n"
    "Examples:\n"
    "  dspool loadtest --sessions 1000 --ops 100 --concurrency 64 --workers 4\n"
    "      closed loop: 64 operations are always outstanding\n"
    "  dspool loadtest --rate 20000 --duration 30 --warmup 2 --json\n"
    "      open loop: 20,000 arrive per second, whatever becomes of them\n"
    "  dspool loadtest --duration 60 --kill-every 2 --max-retries 3\n"
    "      a worker is killed every other second\n"
    "  dspool loadtest --command sleep --kill-half-at 5 --json\n"
    "      half of them are killed at once: how long until as much is done as before\n"
    "  dspool loadtest --overload 2 --service-ms 20 --max-in-flight 8 --duration 30\n"
    "      twice as much as the pool can do: what is refused, and how soon\n"
    "  dspool loadtest --sessions 64 --ops 200 --payload-bytes 1048576\n"
    "      1 MiB goes there and back with each operation, and is compared\n"
    "  dspool loadtest --adapter dspy --questions mt_bench_questions.jsonl\n"
    "      real DSPy, with the offline model\n"
    "  dspool loadtest --trace arrivals.csv --speedup 10 --sessions 5000 --zipf 0.9\n"
    "      recorded arrivals, ten times as fast\n"
    "  dspool loadtest --adapter mypackage.mymodule:MyAdapter --command greet --args '{\"n\": 1}'\n"
    "  DSPOOL_API_KEY=... dspool loadtest --adapter dspy --model openai/gpt-4o-mini \\\n"
    "      --api-base https://api.openai.com/v1 --sessions 10 --ops 2";

void add_load(CLI::App& command, loadtest::Options& o) {
  const char* const group = "Load";
  command.add_option("--sessions", o.sessions, "Sessions [100; all of --questions]")->group(group);
  command.add_option("--ops", o.ops, "Operations of each session [100; no limit with --duration]")
      ->group(group);
  command.add_option("--duration", o.duration_seconds, "Seconds that are measured, at most [600]")
      ->group(group);
  command
      .add_option("--concurrency", o.concurrency,
                  "Closed loop: so many operations are always outstanding [16]")
      ->group(group);
  command
      .add_option("--rate", o.rate,
                  "Open loop: so many arrive per second, independently of each other")
      ->group(group);
  command
      .add_option("--overload", o.overload,
                  "Open loop: so many times what the pool can do without overflow workers, "
                  "which it gets none of; with --service-ms")
      ->type_name("TIMES")
      ->group(group);
  command
      .add_option("--zipf", o.zipf,
                  "Sessions are drawn with this exponent (0: evenly) instead of taking turns")
      ->group(group);
  command
      .add_option("--trace", o.trace_file,
                  "Arrivals: CSV of timestamp_ms,session_id,input_bytes,output_bytes, or of "
                  "TIMESTAMP,ContextTokens,GeneratedTokens. A question is as long as the input; "
                  "commands of your own get payload and output_bytes; increment gets neither, but "
                  "--service-ms")
      ->type_name("FILE")
      ->group(group);
  command.add_option("--speedup", o.speedup, "The trace is so many times as fast [1]")
      ->group(group);
  command
      .add_option("--questions", o.questions_file,
                  "JSON lines of {\"question_id\", \"turns\": [...]}: a session for each line, an "
                  "operation for each turn, with --adapter dspy or a --command")
      ->type_name("FILE")
      ->group(group);
  command
      .add_option("--warmup", o.warmup_seconds,
                  "What starts in the first SECONDS is checked, but not measured, and with --ops "
                  "comes on top [0]")
      ->type_name("SECONDS")
      ->group(group);
  command.add_option("--seed", o.seed, "Of everything random [1]")->group(group);
}

void add_operation(CLI::App& command, loadtest::Options& o) {
  const char* const group = "Operation";
  command
      .add_option("--command", o.command,
                  "What is called [loadtest: increment; dspy and --questions: predict]")
      ->type_name("NAME")
      ->group(group);
  command.add_option("--args", o.args, "Its arguments, a JSON object")
      ->type_name("JSON")
      ->group(group);
  command
      .add_option("--payload-bytes", o.payload_bytes,
                  "Each increment carries so many bytes there and back, which are compared")
      ->type_name("BYTES")
      ->group(group);
  command
      .add_option("--service-ms", o.service_ms,
                  "Each increment waits for so long, as a command does that asks a language model")
      ->type_name("MS")
      ->group(group);
  command.add_option("--timeout", o.timeout_ms, "Of a call, in ms [30000]")->group(group);
  command
      .add_option("--max-retries", o.max_retries,
                  "How often a call may be repeated after an attempt that did not commit; each "
                  "operation then has an idempotency key of its own [0]")
      ->group(group);
  command
      .add_option("--kill-every", o.kill_every_seconds,
                  "SIGKILL a random worker every SECONDS, once all are ready again")
      ->type_name("SECONDS")
      ->group(group);
  command
      .add_option("--kill-half-at", o.kill_half_at_seconds,
                  "SIGKILL half of the workers at once, SECONDS after the load began, and tell how "
                  "long it took until as much was done as before")
      ->type_name("SECONDS")
      ->group(group);
  command
      .add_option("--churn", o.churn_seconds,
                  "Every SECONDS resize the pool, drain or evacuate a worker, move a session, or "
                  "even out the warm ones; workers are also recycled by their requests")
      ->type_name("SECONDS")
      ->group(group);
}

void add_pool(CLI::App& command, loadtest::Options& o) {
  const char* const group = "Pool";
  command
      .add_option("--adapter", o.adapter,
                  "loadtest, dspy, or package.module:Class [--config's, or loadtest]")
      ->type_name("NAME")
      ->group(group);
  command.add_option("--workers", o.workers, "Worker processes [4]")->group(group);
  command
      .add_option("--max-in-flight", o.max_in_flight,
                  "Operations that a worker runs at once, on threads [1; dspy: 8]")
      ->group(group);
  command
      .add_option_function<std::string>(
          "--affinity",
          [&o](const std::string& name) {
            o.affinity = name == "off"      ? Affinity::kOff
                         : name == "pinned" ? Affinity::kPinned
                                            : Affinity::kHint;
          },
          "Prefer the worker where a session is warm, or wait for it [hint]")
      ->check(CLI::IsMember({"hint", "off", "pinned"}))
      ->type_name("")
      ->group(group);
  command
      .add_option_function<std::string>(
          "--durability",
          [&o](const std::string& name) {
            o.durability = name == "local" ? Durability::kLocal : Durability::kMemory;
          },
          "What a session survives: memory, the death of workers; local, with --store, also that\n"
          "of the pool and the loss of power [memory]")
      ->check(CLI::IsMember({"memory", "local"}))
      ->type_name("")
      ->group(group);
  command
      .add_option("--store", o.store, "Directory of the durable store, made where it is missing")
      ->type_name("DIR")
      ->group(group);
  command
      .add_option("--config", o.config_file,
                  "TOML; options, and $DSPOOL_PYTHON, go before what it says")
      ->type_name("FILE")
      ->group(group);
}

void add_model(CLI::App& command, loadtest::Options& o) {
  const char* const group = "Language model";
  command
      .add_option("--api-base", o.api_base,
                  "An OpenAI-like API instead of the offline model; its key is $DSPOOL_API_KEY")
      ->type_name("URL")
      ->group(group);
  command.add_option("--model", o.model, "As LiteLLM names it: openai/gpt-4o-mini")
      ->type_name("NAME")
      ->group(group);
  command
      .add_option("--offline-latency-ms", o.offline_latency_ms,
                  "Median of the offline model's log-normal latency [0]")
      ->group(group);
}

ExitStatus run(const loadtest::Options& options, bool json) {
  loadtest::Console console(stderr);
  const Result<loadtest::Report> report =
      loadtest::run_loadtest(options, python_tree(), watch_for_interrupt(), console);
  if (!report) return report_failure(report.error(), options);
  if (json) {
    fmt::print("{}\n", loadtest::to_json(*report));
  } else {
    fmt::print("{}", loadtest::to_table(*report));
  }
  const std::string unproved = loadtest::unproved(*report);
  if (!unproved.empty()) console.line("warning: " + unproved);
  if (!report->clean()) return kBroken;
  return unproved.empty() ? kDone : kUnproved;
}

}  // namespace

void add_loadtest(CLI::App& program, int& status) {
  CLI::App* const command = program.add_subcommand(
      "loadtest", "Loads a pool with sessions, measures it, and proves that nothing was lost");
  const auto options = std::make_shared<loadtest::Options>();
  const auto json = std::make_shared<bool>(false);
  add_load(*command, *options);
  add_operation(*command, *options);
  add_pool(*command, *options);
  add_model(*command, *options);
  add_pool_options(*command, *options);
  command->add_flag("--json", *json, "One JSON object on standard output, and nothing else there");
  command
      ->add_option("--history", options->history_file,
                   "Writes what the engine did, event by event, as JSON lines")
      ->type_name("FILE");
  command->footer(kFooter);
  command->callback([options, json, &status] { status = run(*options, *json); });
}

}  // namespace dspool::cli
