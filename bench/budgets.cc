#include "bench/budgets.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string_view>

namespace dspool::bench {
namespace {

enum class Bound : std::uint8_t { kAtMost, kAtLeast };

struct Budget {
  std::string_view what;
  std::string_view benchmark;
  std::string_view rival;  // or kNoRival
  double Measured::*figure;
  Bound bound;
  double limit;
};

constexpr std::string_view kNoRival;  // the limit is a figure of its own
constexpr double kEqual = 1.15;       // within the machine's noise
// 256 are looked at, not 100, and lie farther apart.
constexpr double kLookAheadAndMore = 6;

constexpr std::array kBudgets = {
    Budget{"floor: round trip, spinning (us)", "BM_Floor_RoundTrip/spin", kNoRival,
           &Measured::p50_us, Bound::kAtMost, 8},
    Budget{"round trip, spinning (us)", "BM_Engine_RoundTrip/spin", "BM_Floor_RoundTrip/spin",
           &Measured::p50_us, Bound::kAtMost, 1.4},
    Budget{"round trip, both sides asleep (us)", "BM_Engine_RoundTrip/sleep",
           "BM_Floor_RoundTrip/sleep", &Measured::p50_us, Bound::kAtMost, 1.2},
    Budget{"commit, spinning (us)", "BM_Engine_Commit/spin", "BM_Floor_RoundTrip/spin",
           &Measured::p50_us, Bound::kAtMost, 1.8},
    Budget{"commit, both sides asleep (us)", "BM_Engine_Commit/sleep", "BM_Floor_RoundTrip/sleep",
           &Measured::p50_us, Bound::kAtMost, 1.3},
    Budget{"commit in memory (us)", "BM_Commit_Memory", "BM_Floor_RoundTrip/spin",
           &Measured::p50_us, Bound::kAtMost, 1.8},
    Budget{"anonymous call (us)", "BM_Engine_Anonymous", "BM_Engine_RoundTrip/spin",
           &Measured::p50_us, Bound::kAtMost, 1.2},
    Budget{"cold, 16 fields of 1 KiB (us)", "BM_Hydrate_Cold/bytes:16384",
           "BM_Hydrate_Warm/bytes:16384", &Measured::p50_us, Bound::kAtMost, 2},
    Budget{"append to 100,000 turns (us)", "BM_Append/length:100000", "BM_Append/length:10",
           &Measured::p50_us, Bound::kAtMost, kEqual},
    Budget{"floor: throughput (calls/s)", "BM_Floor_Throughput/in_flight:16/workers:2", kNoRival,
           &Measured::items_per_second, Bound::kAtLeast, 290'000},
    Budget{"throughput (calls/s)", "BM_Engine_Throughput/in_flight:16/workers:2",
           "BM_Floor_Throughput/in_flight:16/workers:2", &Measured::items_per_second,
           Bound::kAtLeast, 0.5},
    Budget{"throughput (calls/s)", "BM_Engine_Throughput/in_flight:16/workers:2", kNoRival,
           &Measured::items_per_second, Bound::kAtLeast, 120'000},
    Budget{"next of 100,000 that wait (ns)", "BM_Scheduler_Pick/waiting:100000",
           "BM_Scheduler_Pick/waiting:100", &Measured::cpu_ns, Bound::kAtMost, kLookAheadAndMore},
    Budget{"forgetting a worker's 1 M sessions (ns)", "BM_WorkerLoss/sessions:1000000",
           "BM_WorkerLoss/sessions:1000", &Measured::cpu_ns, Bound::kAtMost, 1.5},
    Budget{"session lookup, 1 M sessions (ns)", "BM_SessionTable_Find/sessions:1000000",
           "BM_BareTable_Find/sessions:1000000", &Measured::cpu_ns, Bound::kAtMost, 1.5},
    Budget{"an idle session (bytes)", "BM_IdleSessions/sessions:1000000", kNoRival,
           &Measured::bytes_per_session, Bound::kAtMost, 512},
    Budget{"expiry beside 1 M sessions (us)", "BM_Expiry_Tick/idle:1000000",
           "BM_Expiry_Tick/idle:1000", &Measured::p50_us, Bound::kAtMost, kEqual},
    Budget{"durable commits, 64 at once (1/s)", "BM_Store_CommitLocal/group:64",
           "BM_BareRocksDB_Commit/group:64", &Measured::items_per_second, Bound::kAtLeast, 0.7},
    Budget{"16 MiB seen as a view (us)", "BM_LargePayload/bytes:16777216",
           "BM_Memcpy2/bytes:16777216", &Measured::p50_us, Bound::kAtMost, 1.5},
    Budget{"a worker's start, forked (us)", "BM_WorkerStart/forkserver", "BM_WorkerStart/spawn",
           &Measured::p50_us, Bound::kAtMost, 0.05},
    Budget{"a worker's own memory, forked (KiB)", "BM_WorkerStart/forkserver",
           "BM_WorkerStart/spawn", &Measured::private_kib, Bound::kAtMost, 0.25},
    Budget{"a breaker's permit, 16 threads (ns)", "BM_Breaker_Permit/threads:16", kNoRival,
           &Measured::cpu_ns, Bound::kAtMost, 50},
    Budget{"death seen, p99 (us)", "BM_Death_Detection", kNoRival, &Measured::p99_us,
           Bound::kAtMost, 1000},
    Budget{"four pairs on two cores, p99.9 (us)", "BM_Oversubscribed/pairs:4",
           "BM_Floor_Oversubscribed/pairs:4", &Measured::p999_us, Bound::kAtMost, 1.5},
};

// Nothing: it was not run. 0: it was, and has not measured that.
std::optional<double> figure_of(const Results& results, std::string_view benchmark,
                                double Measured::*figure) {
  const auto found = results.find(std::string(benchmark));
  if (found == results.end()) return std::nullopt;
  return found->second.*figure;
}

std::string line_for(const Budget& budget, const Results& results) {
  const auto measured = figure_of(results, budget.benchmark, budget.figure);
  const bool alone = budget.rival == kNoRival;
  const auto rival = alone ? std::optional(1.0) : figure_of(results, budget.rival, budget.figure);
  if (!measured || !rival) return {};
  if (*measured == 0 || *rival == 0) {
    return fmt::format("{:<36}{:>46}  MISSED: {} has not measured it\n", budget.what, "",
                       *measured == 0 ? budget.benchmark : budget.rival);
  }
  const double value = *measured / *rival;
  const bool met = budget.bound == Bound::kAtMost ? value <= budget.limit : value >= budget.limit;
  const std::string_view sign = budget.bound == Bound::kAtMost ? "<=" : ">=";
  const std::string_view verdict = met ? "met" : "MISSED";
  if (alone) {
    return fmt::format("{:<36}{:>12.2f}{:>34}  {}\n", budget.what, *measured,
                       fmt::format("{} {}", sign, budget.limit), verdict);
  }
  return fmt::format("{:<36}{:>12.2f}{:>12.2f}{:>8.2f} x{:>12}  {}\n", budget.what, *measured,
                     *rival, value, fmt::format("{} {} x", sign, budget.limit), verdict);
}

}  // namespace

void print_budgets(std::ostream& out, const Results& results) {
  std::string lines;
  for (const Budget& budget : kBudgets) lines += line_for(budget, results);
  if (lines.empty()) return;
  out << fmt::format("\n{:<36}{:>12}{:>12}{:>10}{:>12}\n", "budget", "measured", "beside it",
                     "ratio", "limit")
      << lines;
}

}  // namespace dspool::bench
