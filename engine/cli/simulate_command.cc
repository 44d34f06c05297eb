#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/loadtest/console.h"
#include "engine/cli/command.h"
#include "engine/cli/interrupt.h"
#include "engine/simulation/options.h"
#include "engine/simulation/report.h"
#include "engine/simulation/simulate.h"

namespace dspool::cli {
namespace {

using simulation::Policy;

constexpr const char* kSimulateFooter =
    "No worker is started: the engine's own scheduler runs under simulated time, on simulated\n"
    "workers. A load of 1 is what all workers can do without misses. Waiting counts from a call's\n"
    "arrival to its beginning on a worker. Without --queue nobody is refused, and whoever waits "
    "is\n"
    "waited for to the end. The same options give the same result; each policy gets the same "
    "calls.\n"
    "\n"
    "Policies:\n"
    "  central        one queue, any worker, and no misses: what no scheduler can do better\n"
    "  pinned         a session always runs on the worker that had it first\n"
    "  steal_at_once  the worker where it is warm, or another if that is busy\n"
    "  dspool         waits for the warm worker for as long as a miss would cost\n"
    "\n"
    "Exit status: 0 done; 2 the options are wrong; 4 it was stopped with Ctrl-C before its end.\n"
    "\n"
    "Examples:\n"
    "  dspool simulate --workers 16 --sessions 2000 --zipf 0.6 --service-ms 50 --load 0.8\n"
    "      an hour of calls at 80 % of what 16 workers can do\n"
    "  dspool simulate --workers 16 --zipf 0.6 --policy all --miss-ms 20\n"
    "      every policy side by side\n"
    "  dspool simulate --workers 16 --zipf 0.6 --policy all --sustain 200\n"
    "      the load that each bears while one call in a hundred waits for more than 200 ms\n"
    "  dspool simulate --workers 8 --trace arrivals.csv --sessions 500 --load 0.8\n"
    "      recorded arrivals, at the pace that gives the load\n"
    "  dspool simulate --workers 10000 --sessions 10000000 --duration 60 --json";

struct SimulateOptions {
  simulation::Options simulated;
  std::vector<std::string> policies = {"dspool"};
  bool json = false;
};

const std::map<std::string, std::vector<Policy>>& policies_by_name() {
  static const std::map<std::string, std::vector<Policy>> kByName = {
      {"central", {Policy::kCentral}},
      {"pinned", {Policy::kPinned}},
      {"steal_at_once", {Policy::kStealAtOnce}},
      {"dspool", {Policy::kDspool}},
      {"all", {Policy::kCentral, Policy::kPinned, Policy::kStealAtOnce, Policy::kDspool}}};
  return kByName;
}

ExitStatus run(const SimulateOptions& options) {
  simulation::Options simulated = options.simulated;
  simulated.policies.clear();
  for (const std::string& name : options.policies) {
    const std::vector<Policy>& named = policies_by_name().at(name);
    simulated.policies.insert(simulated.policies.end(), named.begin(), named.end());
  }
  loadtest::Console console(stderr);
  const std::atomic<bool>& stop = watch_for_interrupt();
  const auto reports = simulation::simulate(simulated, [&](double fraction) {
    console.show_progress(fraction, "simulated");
    return !stop.load();
  });
  console.clear_progress();
  if (!reports) {
    fmt::print(stderr, "dspool: {}\n", reports.error().describe());
    return kMisused;
  }
  if (options.json) {
    for (const simulation::Report& report : *reports) fmt::print("{}\n", to_json(report));
  } else {
    fmt::print("{}", simulation::to_table(*reports));
  }
  if (!reports->back().stopped_early) return kDone;
  fmt::print(stderr, "dspool: stopped before its end: this is what it had come to\n");
  return kUnproved;
}

void add_simulated_pool(CLI::App& command, SimulateOptions& options) {
  simulation::Options& o = options.simulated;
  const char* const group = "Pool";
  command.add_option("--workers", o.workers, "Workers, at most 10000 [16]")->group(group);
  command.add_option("--service-ms", o.service_ms, "What a call takes, on average [50]")
      ->type_name("MS")
      ->group(group);
  command
      .add_option("--service-cv", o.service_cv,
                  "Its coefficient of variation, of a gamma distribution: 0 all take as long, 1 is "
                  "exponential [1]")
      ->group(group);
  command
      .add_option("--miss-ms", o.miss_ms,
                  "How much longer it takes where its session is not warm [2]")
      ->type_name("MS")
      ->group(group);
  command
      .add_option("--policy", options.policies,
                  "central, pinned, steal_at_once, dspool, several of them with commas between, or "
                  "all [dspool]")
      ->delimiter(',')
      ->check(CLI::IsMember(policies_by_name()))
      ->type_name("NAME")
      ->group(group);
  command.add_option("--queue", o.queue, "Calls that may wait, before more are refused [all]")
      ->group(group);
}

void add_simulated_calls(CLI::App& command, SimulateOptions& options) {
  simulation::Options& o = options.simulated;
  const char* const group = "Calls";
  command.add_option("--sessions", o.sessions, "Sessions, at most 10000000 [2000]")->group(group);
  command.add_option("--zipf", o.zipf, "Exponent of their popularity; 0: all are alike [0]")
      ->group(group);
  command
      .add_option("--load", o.load,
                  "Calls arrive for this share of what the workers can do without misses [0.8]")
      ->group(group);
  command
      .add_option("--sustain", o.sustain_p99_ms,
                  "Instead of --load: finds the greatest load, in steps of 0.005 up to 1, at which "
                  "the 99th percentile of waiting is at most MS")
      ->type_name("MS")
      ->group(group);
  command
      .add_option("--trace", o.trace_file,
                  "Calls arrive as they do there, as many times as fast as --load needs: CSV of "
                  "timestamp_ms,session_id,input_bytes,output_bytes, or of "
                  "TIMESTAMP,ContextTokens,GeneratedTokens; only times and sessions are used")
      ->type_name("FILE")
      ->group(group);
  command
      .add_option("--duration", o.duration_seconds,
                  "Simulated seconds in which calls arrive [3600; all of --trace]")
      ->type_name("SECONDS")
      ->group(group);
  command.add_option("--seed", o.seed, "Of everything random [1]")->group(group);
}

}  // namespace

void add_simulate(CLI::App& program, int& status) {
  CLI::App* const command = program.add_subcommand(
      "simulate", "Plans capacity: how long calls would wait in a pool, at a load, with a policy");
  const auto options = std::make_shared<SimulateOptions>();
  add_simulated_pool(*command, *options);
  add_simulated_calls(*command, *options);
  command->add_flag("--json", options->json,
                    "One JSON object a policy, each on a line of its own, on standard output");
  command->footer(kSimulateFooter);
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace dspool::cli
