#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "bench/loadtest/console.h"
#include "bench/loadtest/options.h"
#include "engine/cli/command.h"
#include "engine/cli/demo.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/pool_options.h"
#include "engine/cli/python_tree.h"

namespace dspool::cli {
namespace {

constexpr std::uint32_t kSessions = 200;
constexpr std::uint64_t kTurns = 2;
constexpr std::uint32_t kWorkers = 2;
// Of calls that were on the killed worker: one repetition is enough, unless that worker dies too.
constexpr std::uint32_t kRetries = 3;
constexpr std::int64_t kModelLatencyMs = 20;

ExitStatus run(loadtest::Options options) {
  if (options.adapter == "dspy") options.offline_latency_ms = kModelLatencyMs;
  loadtest::Console console(stdout);
  const Result<bool> result = run_demo(options, python_tree(), watch_for_interrupt(), console);
  if (!result) return report_failure(result.error(), options);
  return *result ? kDone : kBroken;
}

}  // namespace

void add_demo(CLI::App& program, int& status) {
  CLI::App* const command = program.add_subcommand(
      "demo", "Holds conversations, kills a worker halfway, and shows that nothing is lost");
  const auto options = std::make_shared<loadtest::Options>();
  options->adapter = "dspy";
  options->sessions = kSessions;
  options->ops = kTurns;
  options->workers = kWorkers;
  options->max_retries = kRetries;
  options->log_level = LogLevel::kError;
  command
      ->add_option("--adapter", options->adapter, "dspy, or loadtest, which needs no DSPy [dspy]")
      ->check(CLI::IsMember({"dspy", "loadtest"}))
      ->type_name("");
  command->add_option("--sessions", options->sessions, "Conversations, of two turns each [200]");
  add_pool_options(*command, *options);
  command->footer(
      "No network and no key are needed: an offline model stands in for a language model.\n"
      "Exit status: 0 a worker was killed, and nothing was lost; 1 something is said to be \"not\n"
      "shown\"; 2 the options are wrong; 3 the pool could not be started.\n"
      "\n"
      "Examples:\n"
      "  dspool demo\n"
      "  dspool demo --adapter loadtest --sessions 5000");
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace dspool::cli
