#include "bench/loadtest/loadtest.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <utility>

#include "bench/loadtest/churner.h"
#include "bench/loadtest/driver.h"
#include "bench/loadtest/killer.h"
#include "bench/loadtest/outage.h"
#include "bench/loadtest/pool.h"
#include "bench/loadtest/settle.h"
#include "bench/loadtest/workload.h"

namespace dspool::loadtest {
namespace {

using std::chrono::milliseconds;

// A call ends by its deadline plus a small bound; a pool that takes longer is broken.
constexpr milliseconds kBound{10'000};
constexpr milliseconds kReadyAtEnd{30'000};

// After how many requests a worker is replaced in a pool that is to change: every few seconds.
std::uint64_t churned_requests(const Config& config, const Options& options) {
  constexpr std::uint64_t kOfShortOnes = 5'000;
  constexpr double kEveryMs = 5'000;
  if (!options.service_ms) return kOfShortOnes;
  const double runs = kEveryMs / *options.service_ms * config.worker.max_in_flight;
  return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(runs), 1, kOfShortOnes);
}

double to_seconds(Elapsed time) { return static_cast<double>(time.count()) / 1e9; }

double fraction_of(const Workload& workload, const Progress& progress) {
  double fraction = progress.elapsed / std::chrono::duration<double>(workload.window.end);
  if (workload.total_operations && *workload.total_operations > 0) {
    fraction = std::max(fraction, static_cast<double>(progress.ended) /
                                      static_cast<double>(*workload.total_operations));
  }
  return fraction;
}

std::string text_of(const Progress& progress) {
  return fmt::format("{} operations, {:.0f}/s, {} failed, {} outstanding", progress.ended,
                     static_cast<double>(progress.ended) / to_seconds(progress.elapsed),
                     progress.failed, progress.outstanding);
}

// Where the history goes: opened before the run, which would otherwise be in vain.
class HistoryFile {
 public:
  static Result<HistoryFile> open(const std::string& path) {
    HistoryFile history;
    if (path.empty()) return history;
    history.file_.open(path, std::ios::trunc);
    if (!history.file_) return invalid_options(fmt::format("cannot write --history {}", path));
    return history;
  }

  void write(const Engine& engine, Console& console) {
    if (!file_.is_open()) return;
    const History history = engine.history();
    for (const Event& event : history.events) file_ << event.to_json() << '\n';
    file_.flush();
    if (!file_) console.line("warning: the history could not be written as a whole");
    if (history.dropped > 0) {
      console.line(fmt::format("warning: the history lacks its {} oldest events", history.dropped));
    }
  }

 private:
  std::ofstream file_;
};

void hand_logs_to(Console& console, Config& config) {
  config.log_sink = [&console](LogLevel, std::string_view line) { console.line(line); };
}

DriverOptions driver_options(const Options& options, const Config& config, const Workload& workload,
                             Console& console) {
  DriverOptions driver;
  driver.call.timeout = config.operation_timeout;
  driver.call.max_retries = options.max_retries;
  driver.seed = options.seed;
  driver.patience = config.operation_timeout + kBound;
  driver.on_progress = [&](const Progress& progress) {
    console.show_progress(fraction_of(workload, progress), text_of(progress));
  };
  return driver;
}

std::optional<milliseconds> interval_of(const std::optional<double>& seconds) {
  if (!seconds) return std::nullopt;
  return milliseconds(static_cast<std::int64_t>(*seconds * 1e3));
}

}  // namespace

Result<Report> run_loadtest(const Options& asked, const std::vector<std::string>& python_path,
                            const std::atomic<bool>& stop, Console& console) {
  Result<Config> config = make_config(asked, python_path);
  if (!config) return tl::unexpected(config.error());
  Options options = with_adapter_of(*config, asked);
  if (const Result<void> valid = validate(options); !valid) return tl::unexpected(valid.error());
  if (options.overload) {
    options.rate = std::min(*options.overload * capacity_of(*config, options), kHighestRate);
  }
  Result<Workload> workload = make_workload(options);
  if (!workload) return tl::unexpected(workload.error());
  Result<HistoryFile> history = HistoryFile::open(options.history_file);
  if (!history) return tl::unexpected(history.error());

  const bool recycles = config->worker.max_requests != 0;
  if (options.churn_seconds && !recycles) {
    config->worker.max_requests = churned_requests(*config, options);
  }
  hand_logs_to(console, *config);
  Result<Pool> pool = start_pool(options, *config);
  if (!pool) return tl::unexpected(pool.error());
  Engine& engine = *pool->engine;
  if (!wait_until_ready(engine, config->worker.start_timeout, stop) && !stop.load()) {
    console.line("warning: not all workers became ready; starting with those there are");
  }

  OrderChecker checker(rule_of(workload->check), workload->session_ids.size());
  EngineTarget target(engine);
  Report report;
  {
    std::optional<Outage> outage;
    DriverOptions driving = driver_options(options, *config, *workload, console);
    driving.on_ended = [&outage](const Start&, const Result<Answer>& result) {
      if (outage && result) outage->succeeded();
    };
    Driver driver(target, *workload, checker, std::move(driving));
    std::optional<Killer> killer;
    std::atomic<std::uint64_t> kills = 0;
    const auto tell = [&](const Kill& kill) {
      ++kills;
      console.line(fmt::format("killed {} (process {})", kill.worker, kill.pid));
    };
    if (const auto interval = interval_of(options.kill_every_seconds)) {
      killer.emplace(engine, interval, options.seed, tell);
    }
    if (const auto at = interval_of(options.kill_half_at_seconds)) {
      outage.emplace(engine, *at, options.seed, tell);
    }
    std::optional<Churner> churner;
    if (const auto interval = interval_of(options.churn_seconds)) {
      churner.emplace(engine, *interval, config->pool_size, workload->session_ids, options.seed,
                      [&console](const std::string& what) { console.line(what); });
    }
    report.tally = driver.run(stop);
    if (killer) {
      killer->stop();
      report.kills = kills.load();
    }
    if (churner) report.changes = churner->stop();
    if (outage) report.recovery = outage->finish();
  }
  console.clear_progress();
  const Stats under_load = engine.stats();  // settling reads sessions, too
  if (const auto found = static_cast<double>(under_load.warm_hits + under_load.misses); found > 0) {
    report.hit_rate = static_cast<double>(under_load.warm_hits) / found;
  }
  wait_until_ready(engine, kReadyAtEnd, stop);
  report.unsettled_sessions = settle(target, *workload, checker);
  for (std::uint32_t i = 0; i < workload->session_ids.size(); ++i) {
    if (checker.touched(i)) ++report.sessions;
  }
  report.verdicts = checker.finish();
  report.check = workload->check;
  if (options.overload) report.capacity_per_second = capacity_of(*config, options);
  report.worker_restarts = engine.stats().worker_restarts;
  report.stopped_early = stop.load();
  history->write(engine, console);
  return report;
}

}  // namespace dspool::loadtest
