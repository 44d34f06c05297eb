#include "engine/simulation/simulate.h"

#include <bit>
#include <numeric>
#include <optional>
#include <utility>

#include "engine/load/trace.h"
#include "engine/simulation/workload.h"

namespace dspool::simulation {
namespace {

constexpr std::uint32_t kSustainRuns = std::bit_width(kSustainSteps);

Report run_once(const Options& options, Policy policy, double load, const load::Trace* trace,
                const Progress& progress) {
  Workload workload(options, load, trace);
  Simulation simulation(options, policy, workload);
  Report report = simulation.run(progress);
  report.load = load;
  report.sustain_p99_ms = options.sustain_p99_ms;
  return report;
}

// By bisection: more load, and the same calls come in shorter intervals.
Report sustain(const Options& options, Policy policy, const load::Trace* trace,
               const Progress& progress) {
  Report best{
      .policy = policy, .workers = options.workers, .sustain_p99_ms = options.sustain_p99_ms};
  std::uint32_t sustained = 0;
  std::uint32_t too_much = kSustainSteps + 1;
  for (std::uint32_t run = 0; too_much - sustained > 1; ++run) {
    const std::uint32_t steps = std::midpoint(sustained, too_much);
    const Report report =
        run_once(options, policy, steps * kSustainStep, trace,
                 [&](double fraction) { return progress((run + fraction) / kSustainRuns); });
    if (report.stopped_early) return report;
    if (report.wait.percentile_ms(0.99) > *options.sustain_p99_ms) {
      too_much = steps;
    } else {
      sustained = steps;
      best = report;
    }
  }
  return best;
}

}  // namespace

Result<std::vector<Report>> simulate(const Options& options, const Progress& progress) {
  if (auto valid = validate(options); !valid) return tl::unexpected(std::move(valid.error()));
  std::optional<load::Trace> trace;
  if (!options.trace_file.empty()) {
    auto read = load::read_trace(options.trace_file);
    if (!read) return tl::unexpected(std::move(read.error()));
    if (auto valid = validate(options, *read); !valid) {
      return tl::unexpected(std::move(valid.error()));
    }
    trace = *std::move(read);
  }
  const load::Trace* const recorded = trace ? &*trace : nullptr;
  const auto policies = static_cast<double>(options.policies.size());
  std::vector<Report> reports;
  reports.reserve(options.policies.size());
  for (const Policy policy : options.policies) {
    const Progress part = [&](double fraction) {
      return progress((static_cast<double>(reports.size()) + fraction) / policies);
    };
    reports.push_back(options.sustain_p99_ms
                          ? sustain(options, policy, recorded, part)
                          : run_once(options, policy, highest_load(options), recorded, part));
    if (reports.back().stopped_early) break;
  }
  return reports;
}

}  // namespace dspool::simulation
