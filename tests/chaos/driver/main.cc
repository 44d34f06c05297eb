// Runs a workload against a pool on which faults strike, and writes down what was asked, answered
// and done, for the checker (tests/chaos/checker) to judge.
//
//   chaos_driver --fault kill_mid_call,churn --seconds 5 --seed 7 DIRECTORY
//   chaos_driver --list
//
// Returns 0 when the evidence is complete, whatever it shows.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>

#include "tests/chaos/driver/fault.h"
#include "tests/chaos/driver/trial.h"

namespace {

using dspool::chaos::FaultKind;

void list_faults() {
  for (const FaultKind& kind : dspool::chaos::fault_kinds()) {
    std::printf("%-14s %s\n", std::string(kind.name).c_str(), std::string(kind.what).c_str());
  }
}

}  // namespace

int main(int argument_count, char** arguments) {
  dspool::chaos::TrialTerms terms;
  terms.seed = std::random_device()();
  std::vector<std::string> faults;
  double seconds = 2;
  double patience = 20;
  bool lists = false;
  CLI::App app("A pool under a workload and faults, and the evidence of what it did");
  app.add_option("--fault", faults, "what goes wrong: see --list")->delimiter(',');
  app.add_option("--seconds", seconds, "for how long")->check(CLI::PositiveNumber);
  app.add_option("--patience", patience, "seconds to wait for what must come to pass by itself");
  app.add_option("--seed", terms.seed, "repeats what is drawn, though not when it happens");
  app.add_option("--workers", terms.pool_size, "the pool's size")->check(CLI::Range(1, 64));
  app.add_option("--max-in-flight", terms.max_in_flight, "calls that a worker runs at once")
      ->check(CLI::Range(1, 64));
  app.add_flag("--forks", terms.forks, "workers are forked instead of spawned");
  app.add_flag("--breaks", terms.breaks, "with a circuit breaker");
  app.add_option("--callers", terms.callers, "threads that call")->check(CLI::Range(1, 1000));
  app.add_option("--sessions", terms.sessions, "that they use")->check(CLI::Range(1, 100000));
  app.add_flag("--durable", terms.durable, "with a durable store, and sessions that use it");
  app.add_flag("--soak", terms.soak, "samples of what it uses instead of calls and events");
  app.add_flag("--list", lists, "prints the faults");
  app.add_option("directory", terms.directory, "for the evidence; it is made, and must be empty");
  CLI11_PARSE(app, argument_count, arguments);
  if (lists) {
    list_faults();
    return 0;
  }
  terms.duration = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  terms.patience = std::chrono::milliseconds(static_cast<std::int64_t>(patience * 1000));
  for (const std::string& name : faults) {
    const FaultKind* const kind = dspool::chaos::find_fault(name);
    if (kind == nullptr) {
      std::cerr << "there is no fault \"" << name << "\": see --list\n";
      return 2;
    }
    terms.faults.push_back(kind);
  }
  std::error_code error;
  std::filesystem::create_directories(terms.directory, error);
  if (terms.directory.empty() || error || !std::filesystem::is_empty(terms.directory)) {
    std::cerr << "the evidence needs a directory that is empty\n";
    return 2;
  }
  std::cout << "seed " << terms.seed << std::endl;
  return dspool::chaos::run_trial(terms);
}
