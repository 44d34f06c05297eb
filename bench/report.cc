#include "bench/report.h"

#include <utility>

namespace dspool::bench {
namespace {

using Run = benchmark::BenchmarkReporter::Run;

Run plainly_named(Run run) {
  run.run_name = {.function_name = std::move(run.run_name.function_name),
                  .args = std::move(run.run_name.args),
                  .min_time = {},
                  .min_warmup_time = {},
                  .iterations = {},
                  .repetitions = {},
                  .time_type = {},
                  .threads = std::move(run.run_name.threads)};
  return run;
}

bool stands_for_all(const Run& run) {
  return run.aggregate_name == "median" ||
         (run.run_type == Run::RT_Iteration && run.repetitions <= 1);
}

double counter_of(const Run& run, const char* name) {
  const auto found = run.counters.find(name);
  return found == run.counters.end() ? 0 : found->second.value;
}

}  // namespace

void ConsoleReport::ReportRuns(const std::vector<Run>& runs) {
  std::vector<Run> shown;
  for (const Run& run : runs) {
    failed_ = failed_ || run.error_occurred;
    if (!run.error_occurred && !stands_for_all(run)) continue;
    shown.push_back(plainly_named(run));
    if (run.error_occurred) continue;
    results_[shown.back().run_name.str()] = {
        .cpu_ns = run.cpu_accumulated_time / static_cast<double>(run.iterations) * 1e9,
        .p50_us = counter_of(run, "p50_us"),
        .p99_us = counter_of(run, "p99_us"),
        .p999_us = counter_of(run, "p999_us"),
        .items_per_second = counter_of(run, "items_per_second"),
        .bytes_per_session = counter_of(run, "bytes_per_session"),
        .private_kib = counter_of(run, "private_kib")};
  }
  if (!shown.empty()) ConsoleReporter::ReportRuns(shown);
}

void ConsoleReport::Finalize() {
  ConsoleReporter::Finalize();
  print_budgets(GetOutputStream(), results_);
}

void JsonReport::ReportRuns(const std::vector<Run>& runs) {
  std::vector<Run> renamed;
  renamed.reserve(runs.size());
  for (const Run& run : runs) renamed.push_back(plainly_named(run));
  JSONReporter::ReportRuns(renamed);
}

}  // namespace dspool::bench
