#include "engine/cli/demo.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "bench/loadtest/conversations.h"
#include "bench/loadtest/driver.h"
#include "bench/loadtest/killer.h"
#include "bench/loadtest/pool.h"
#include "bench/loadtest/report.h"
#include "bench/loadtest/schedule.h"
#include "bench/loadtest/settle.h"
#include "bench/loadtest/workload.h"

namespace dspool::cli {
namespace {

using loadtest::Console;
using loadtest::Kill;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kReplacement{60'000};
constexpr milliseconds kKillPatience{10'000};
constexpr milliseconds kProbe{200};
constexpr milliseconds kBetweenProbes{20};

std::string since(Clock::time_point begin) { return loadtest::readable(Clock::now() - begin); }

bool serves(const WorkerHealth& worker) {
  return worker.status == WorkerStatus::kIdle || worker.status == WorkerStatus::kBusy;
}

// What one session said and heard, and from whom.
struct Turn {
  std::string worker;
  std::string answer;
};
using Dialogue = std::map<std::uint64_t, Turn>;  // by turn

std::string text_of(const ValueView& answer) {
  const ValueView text = answer["answer"];
  return text.kind() == Kind::kString ? std::string(text.as_string()) : answer.to_json();
}

bool moved(const Dialogue& dialogue) {
  return dialogue.size() > 1 && dialogue.begin()->second.worker != dialogue.rbegin()->second.worker;
}

// Waits until the killed worker's place is taken, by a process that is not one of the `first`, and
// says by which. Runs on the killer's thread.
void tell_replacement(Engine& engine, const std::set<std::int32_t>& first,
                      const std::atomic<bool>& stop, Console& console) {
  const Clock::time_point killed_at = Clock::now();
  while (!stop.load() && Clock::now() < killed_at + kReplacement) {
    for (const WorkerHealth& worker : engine.health_check(kProbe).workers) {
      if (serves(worker) && !first.contains(worker.pid)) {
        console.line(fmt::format("replaced    {} (process {}) is ready {} later", worker.worker,
                                 worker.pid, since(killed_at)));
        return;
      }
    }
    std::this_thread::sleep_for(kBetweenProbes);  // nothing waits for this line
  }
  console.line("replaced    not within a minute");
}

// Says which workers there are, and returns their processes.
std::set<std::int32_t> tell_workers(Engine& engine, Clock::time_point began, Console& console) {
  std::string names;
  std::set<std::int32_t> processes;
  for (const WorkerHealth& worker : engine.health_check(kProbe).workers) {
    if (!names.empty()) names += ", ";
    names += fmt::format("{} (process {})", worker.worker, worker.pid);
    processes.insert(worker.pid);
  }
  console.line(fmt::format("ready       {} after {}", names, since(began)));
  return processes;
}

void tell_sample(const std::vector<Dialogue>& dialogues, const loadtest::Workload& workload,
                 bool questions, Console& console) {
  if (dialogues.empty()) return;
  auto sample = std::ranges::find_if(dialogues, moved);
  if (sample == dialogues.end()) sample = dialogues.begin();
  const auto session = static_cast<std::uint64_t>(sample - dialogues.begin());
  console.line(fmt::format("\nOne of them, {}:", workload.session_ids[session]));
  for (const auto& [turn, said] : *sample) {
    const std::string asked =
        questions ? loadtest::made_up_question(session, turn) : workload.command;
    console.line(fmt::format("  you       {}", asked));
    console.line(fmt::format("  {:<9} {}", said.worker, said.answer));
  }
}

void tell_result(const loadtest::Report& report, const std::vector<Dialogue>& dialogues,
                 Console& console) {
  const loadtest::Verdicts& verdicts = report.verdicts;
  const load::LatencyRecorder& latencies = report.tally.latencies;
  console.line("\nResult");
  console.line(fmt::format("  {} of {} operations succeeded in {:.1f} s", report.tally.successes,
                           report.operations(),
                           std::chrono::duration<double>(report.tally.duration).count()));
  for (const auto& [kind, failures] : report.tally.errors) {
    console.line(fmt::format("  {} failed: {}", failures.count, failures.example));
  }
  console.line(fmt::format("  {} of {} sessions went on with another worker",
                           std::ranges::count_if(dialogues, moved), dialogues.size()));
  console.line(fmt::format("  lost {}, duplicated {}, out of order {}, crossed {}", verdicts.lost,
                           verdicts.duplicated, verdicts.out_of_order, verdicts.crossed));
  console.line(fmt::format(
      "  latency p50 {}, p90 {}, p99 {}, max {}", loadtest::readable(latencies.percentile(0.5)),
      loadtest::readable(latencies.percentile(0.9)), loadtest::readable(latencies.percentile(0.99)),
      loadtest::readable(latencies.max())));
}

// Says what is missing from a demonstration, if anything is; true where nothing is.
bool tell_shortcomings(const loadtest::Report& report, bool killed, std::uint64_t total,
                       Console& console) {
  std::vector<std::string> shortcomings;
  if (report.operations() < total) {
    shortcomings.push_back(
        fmt::format("it was stopped after {} of {} operations", report.operations(), total));
  }
  if (!killed) shortcomings.emplace_back("no worker was killed");
  if (report.tally.failures > 0) {
    shortcomings.push_back(fmt::format("{} operations failed", report.tally.failures));
  }
  if (!report.verdicts.clean()) shortcomings.emplace_back("the order of a session was broken");
  if (report.unsettled_sessions > 0) shortcomings.push_back(loadtest::unproved(report));
  if (shortcomings.empty()) return true;
  console.line(fmt::format("\nNot shown: {}", fmt::join(shortcomings, "; ")));
  return false;
}

}  // namespace

Result<bool> run_demo(const loadtest::Options& options, const std::vector<std::string>& python_path,
                      const std::atomic<bool>& stop, Console& console) {
  if (auto valid = loadtest::validate(options); !valid) return tl::unexpected(valid.error());
  Result<loadtest::Workload> workload = loadtest::make_workload(options);
  if (!workload) return tl::unexpected(workload.error());
  Result<Config> config = loadtest::make_config(options, python_path);
  if (!config) return tl::unexpected(config.error());
  config->log_sink = [&console](LogLevel, std::string_view line) { console.line(line); };

  const bool dspy = options.adapter == "dspy";
  console.line(fmt::format(
      "starting    {} workers with {}", config->pool_size,
      dspy ? "DSPy, which takes some seconds to import" : "the adapter for load tests"));
  const Clock::time_point began = Clock::now();
  Result<loadtest::Pool> pool = loadtest::start_pool(options, *config);
  if (!pool) return tl::unexpected(pool.error());
  Engine& engine = *pool->engine;
  loadtest::wait_until_ready(engine, config->worker.start_timeout, stop);
  const std::set<std::int32_t> first = tell_workers(engine, began, console);
  if (pool->offline_lm) {
    console.line(
        fmt::format("model       offline, at {}: it answers from a hash, and knows nothing",
                    pool->offline_lm->api_base()));
  }

  const std::uint64_t total = workload->total_operations.value_or(0);
  std::atomic<bool> killed = false;
  // The last ones wait for the kill, however few there are.
  workload->schedule = std::make_unique<loadtest::HeldBack>(
      std::move(workload->schedule), total / 2 + total / 4, [&] { return killed || stop; },
      kKillPatience);
  std::vector<Dialogue> dialogues(workload->session_ids.size());
  loadtest::OrderChecker checker(loadtest::rule_of(workload->check), dialogues.size());
  loadtest::EngineTarget target(engine);
  loadtest::Report report;
  {
    loadtest::Killer killer(engine, std::nullopt, options.seed, [&](const Kill& kill) {
      killed = true;
      console.line(
          fmt::format("killed      {} (process {}) with SIGKILL, halfway", kill.worker, kill.pid));
      tell_replacement(engine, first, stop, console);
    });
    loadtest::DriverOptions driving;
    driving.call.timeout = config->operation_timeout;
    driving.call.max_retries = options.max_retries;
    driving.seed = options.seed;
    driving.on_ended = [&, ended = std::uint64_t{0}](const loadtest::Start& start,
                                                     const Result<Answer>& result) mutable {
      if (++ended == total / 2) killer.kill_one();
      if (!result) return;
      dialogues[start.session][start.index] = {.worker = std::string(result->worker),
                                               .answer = text_of(result->value)};
    };
    driving.on_progress = [&](const loadtest::Progress& progress) {
      console.show_progress(static_cast<double>(progress.ended) / static_cast<double>(total),
                            fmt::format("{} of {} turns", progress.ended, total));
    };
    console.line(fmt::format("talking     {} conversations of {} turns, {} at a time",
                             dialogues.size(), total / dialogues.size(),
                             options.concurrency.value_or(loadtest::kDefaultConcurrency)));
    loadtest::Driver driver(target, *workload, checker, std::move(driving));
    report.tally = driver.run(stop);
    console.clear_progress();
    if (report.tally.successes == total) console.line("done        every turn has its answer");
  }  // waits for the replacement
  report.unsettled_sessions = settle(target, *workload, checker);
  report.check = workload->check;
  report.sessions = dialogues.size();
  report.verdicts = checker.finish();
  tell_sample(dialogues, *workload, dspy, console);
  tell_result(report, dialogues, console);
  return tell_shortcomings(report, killed, total, console);
}

}  // namespace dspool::cli
