#include "bench/loadtest/report.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <iterator>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "dspool/value.h"

namespace dspool::loadtest {
namespace {

// To a tenth: more than the recorder's buckets can tell.
double to_us(std::chrono::nanoseconds time) {
  return std::round(static_cast<double>(time.count()) / 100.0) / 10.0;
}

double to_ms(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

Value to_value(const Changes& changes) {
  std::vector<Value::Member> members;
  members.reserve(kChanges + 3);
  for (std::size_t i = 0; i < kChanges; ++i) {
    members.emplace_back(to_string(static_cast<Change>(i)), changes.done[i]);
  }
  members.emplace_back("refused", changes.refused);
  members.emplace_back("migrated_sessions", changes.migrated_sessions);
  members.emplace_back("recycled_workers", changes.recycled_workers);
  return Value::map(members);
}

std::string to_text(const Changes& changes) {
  std::string text;
  for (std::size_t i = 0; i < kChanges; ++i) {
    text += fmt::format("{} {}   ", to_string(static_cast<Change>(i)), changes.done[i]);
  }
  return text + fmt::format("refused {} ({} sessions moved, {} workers recycled)", changes.refused,
                            changes.migrated_sessions, changes.recycled_workers);
}

std::string to_text(const Recovery& recovery) {
  if (!recovery.after) {
    return fmt::format("not to be seen in this time, after {} workers were killed at once",
                       recovery.killed);
  }
  return fmt::format("{} ms after {} workers were killed at once, as much was done as before",
                     recovery.after->count(), recovery.killed);
}

std::string_view proof_of(Check check) {
  switch (check) {
    case Check::kCounter:
      return "every answer's number, and every session's counter at the end";
    case Check::kEachCommits:
      return "every answer's version, and every session's version at the end";
    case Check::kVersionsOnly:
      return "versions never went back; whether an operation counts is not known";
  }
  return "";
}

}  // namespace

double Report::success_rate() const {
  if (operations() == 0) return 0;
  return static_cast<double>(tally.successes) / static_cast<double>(operations());
}

double Report::ops_per_second() const {
  if (tally.duration <= std::chrono::nanoseconds::zero()) return 0;
  return static_cast<double>(tally.successes) * 1e9 / static_cast<double>(tally.duration.count());
}

std::string to_json(const Report& report) {
  const Tally& tally = report.tally;
  std::map<std::string_view, std::uint64_t> by_category;
  for (const auto& [kind, failures] : tally.errors) {
    by_category[to_string(kind.first)] += failures.count;
  }
  std::vector<Value::Member> errors;
  errors.reserve(by_category.size());
  for (const auto& [category, count] : by_category) errors.emplace_back(category, count);
  const auto percentile = [&](double fraction) {
    return to_us(tally.latencies.percentile(fraction));
  };
  return Value{{"total_operations", report.operations()},
               {"successes", tally.successes},
               {"failures", tally.failures},
               {"errors_by_category", std::span<const Value::Member>(errors)},
               {"duration_ms", to_ms(tally.duration)},
               {"ops_per_second", report.ops_per_second()},
               {"success_rate", report.success_rate()},
               {"latency_us",
                {{"p50", percentile(0.5)},
                 {"p90", percentile(0.9)},
                 {"p99", percentile(0.99)},
                 {"p999", percentile(0.999)},
                 {"max", to_us(tally.latencies.max())}}},
               {"refusal_us",
                {{"p50", to_us(tally.refusals.percentile(0.5))},
                 {"p99", to_us(tally.refusals.percentile(0.99))},
                 {"max", to_us(tally.refusals.max())}}},
               {"capacity_per_second",
                report.capacity_per_second ? Value::of(*report.capacity_per_second) : Value()},
               {"lost", report.verdicts.lost},
               {"duplicated", report.verdicts.duplicated},
               {"out_of_order", report.verdicts.out_of_order},
               {"crossed", report.verdicts.crossed},
               {"damaged", tally.damaged},
               {"worker_restarts", report.worker_restarts},
               {"hit_rate", report.hit_rate},
               {"kills", report.kills ? Value::of(*report.kills) : Value()},
               {"changes", report.changes ? to_value(*report.changes) : Value()},
               {"killed_at_once", report.recovery ? Value::of(report.recovery->killed) : Value()},
               {"recovery_ms", report.recovery && report.recovery->after
                                   ? Value::of(report.recovery->after->count())
                                   : Value()}}
      .to_json();
}

std::string to_table(const Report& report) {
  const Tally& tally = report.tally;
  const load::LatencyRecorder& latencies = tally.latencies;
  std::string text;
  const auto out = std::back_inserter(text);
  const auto percentile = [&](double fraction) { return readable(latencies.percentile(fraction)); };
  if (report.stopped_early) fmt::format_to(out, "Stopped before its end.\n");
  fmt::format_to(out, "operations   {} in {} sessions, {:.1f} s\n", report.operations(),
                 report.sessions, to_ms(tally.duration) / 1e3);
  fmt::format_to(out, "throughput   {:.0f} operations per second\n", report.ops_per_second());
  if (report.capacity_per_second) {
    fmt::format_to(out, "             {:.1f} % of the {:.0f} that the pool's slots have time for\n",
                   100 * report.ops_per_second() / *report.capacity_per_second,
                   *report.capacity_per_second);
  }
  fmt::format_to(out, "successes    {} ({:.2f} %)\n", tally.successes,
                 100.0 * report.success_rate());
  fmt::format_to(out, "failures     {}\n", tally.failures);
  for (const auto& [kind, failures] : tally.errors) {
    fmt::format_to(out, "             {:>8} x {}/{}: {}\n", failures.count, to_string(kind.first),
                   kind.second, failures.example);
  }
  fmt::format_to(out, "latency      p50 {}   p90 {}   p99 {}   p99.9 {}   max {}\n",
                 percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999),
                 readable(latencies.max()));
  if (tally.refusals.count() != 0) {
    fmt::format_to(out, "refused      p50 {}   p99 {}   max {} after they came\n",
                   readable(tally.refusals.percentile(0.5)),
                   readable(tally.refusals.percentile(0.99)), readable(tally.refusals.max()));
  }
  fmt::format_to(out, "warm         {:.1f} % of the attempts in sessions with state\n",
                 100 * report.hit_rate);
  fmt::format_to(out, "restarts     {} workers\n", report.worker_restarts);
  if (report.kills) fmt::format_to(out, "kills        {}\n", *report.kills);
  if (report.changes) fmt::format_to(out, "changes      {}\n", to_text(*report.changes));
  if (report.recovery) fmt::format_to(out, "recovery     {}\n", to_text(*report.recovery));
  const Verdicts& verdicts = report.verdicts;
  fmt::format_to(out, "order        lost {}   duplicated {}   out of order {}   crossed {}\n",
                 verdicts.lost, verdicts.duplicated, verdicts.out_of_order, verdicts.crossed);
  fmt::format_to(out, "             ({})\n", proof_of(report.check));
  if (tally.damaged != 0) fmt::format_to(out, "payloads     {} damaged\n", tally.damaged);
  return text;
}

std::string unproved(const Report& report) {
  if (report.kills == 0U) return "no worker was killed: it has to run for longer (--duration)";
  if (report.changes && report.changes->done == decltype(report.changes->done){}) {
    return "nothing was changed: it has to run for longer (--duration)";
  }
  if (report.recovery && report.recovery->killed == 0) {
    return "no worker was killed: it has to run until after --kill-half-at (--duration)";
  }
  if (report.unsettled_sessions == 0) return {};
  const std::string_view why =
      report.check == Check::kCounter
          ? "did not answer 'read', by which a counter is looked at in the end"
          : "did not tell their version at the end";
  return fmt::format("{} of {} sessions {}: for them, only their answers were checked",
                     report.unsettled_sessions, report.sessions, why);
}

std::string readable(std::chrono::nanoseconds time) {
  const auto ns = static_cast<double>(time.count());
  // Three digits say more than the measurement knows; the unit follows the size.
  if (ns < 999.5e3) return fmt::format("{:.3g} µs", ns / 1e3);
  if (ns < 999.5e6) return fmt::format("{:.3g} ms", ns / 1e6);
  return fmt::format("{:.2f} s", ns / 1e9);
}

}  // namespace dspool::loadtest
