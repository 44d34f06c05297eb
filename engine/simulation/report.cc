#include "engine/simulation/report.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <iterator>
#include <string_view>
#include <vector>

#include "dspool/value.h"

namespace dspool::simulation {
namespace {

constexpr double kP50 = 0.5;
constexpr double kP99 = 0.99;
constexpr double kP999 = 0.999;

double to_ms(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

// To a microsecond, and shares to a millionth: what lies behind says nothing.
double rounded_ms(double ms) { return std::round(ms * 1e3) / 1e3; }
double rounded_share(double share) { return std::round(share * 1e6) / 1e6; }

Value to_value(const Times& times) {
  return Value{{"mean", rounded_ms(times.mean_ms())},
               {"p50", rounded_ms(times.percentile_ms(kP50))},
               {"p99", rounded_ms(times.percentile_ms(kP99))},
               {"p999", rounded_ms(times.percentile_ms(kP999))},
               {"max", rounded_ms(to_ms(times.recorder.max()))}};
}

// "0.000 ms", "12.3 ms", "1.23 s"
std::string readable(double ms) {
  const double number = ms < 999.5 ? ms : ms / 1e3;
  const int digits = ms < 1 ? 3 : number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", number, digits, ms < 999.5 ? "ms" : "s");
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

// Zero, where nothing was measured.
std::string load_of(const Report& report) {
  return report.load > 0 ? percent(report.load) : std::string("none");
}

struct Row {
  std::string_view name;
  std::function<std::string(const Report&)> cell;
};

std::vector<Row> rows() {
  const auto time = [](Times Report::*times, double fraction) {
    return [=](const Report& r) { return readable((r.*times).percentile_ms(fraction)); };
  };
  const auto mean = [](Times Report::*times) {
    return [=](const Report& r) { return readable((r.*times).mean_ms()); };
  };
  return {{"", [](const Report& r) { return std::string(to_string(r.policy)); }},
          {"load", load_of},
          {"calls", [](const Report& r) { return fmt::format("{}", r.calls); }},
          {"refused", [](const Report& r) { return fmt::format("{}", r.refused); }},
          {"utilisation", [](const Report& r) { return percent(r.utilisation()); }},
          {"hit rate", [](const Report& r) { return percent(r.hit_rate()); }},
          {"wait     mean", mean(&Report::wait)},
          {"         p50", time(&Report::wait, kP50)},
          {"         p99", time(&Report::wait, kP99)},
          {"         p99.9", time(&Report::wait, kP999)},
          {"latency  mean", mean(&Report::latency)},
          {"         p50", time(&Report::latency, kP50)},
          {"         p99", time(&Report::latency, kP99)},
          {"         p99.9", time(&Report::latency, kP999)}};
}

}  // namespace

void Times::record(std::chrono::nanoseconds time) noexcept {
  recorder.record(time);
  sum_ms += to_ms(time);
}

double Times::mean_ms() const noexcept {
  return recorder.count() == 0 ? 0 : sum_ms / static_cast<double>(recorder.count());
}

double Times::percentile_ms(double fraction) const noexcept {
  return to_ms(recorder.percentile(fraction));
}

double Report::utilisation() const noexcept {
  const double capacity_ms = to_ms(duration) * workers;
  return capacity_ms == 0 ? 0 : to_ms(busy) / capacity_ms;
}

double Report::hit_rate() const noexcept {
  const std::uint64_t all = warm + cold;
  return all == 0 ? 0 : static_cast<double>(warm) / static_cast<double>(all);
}

std::string to_json(const Report& report) {
  const Value wait = to_value(report.wait);
  const Value latency = to_value(report.latency);
  std::vector<Value::Member> members = {{"policy", to_string(report.policy)},
                                        {"workers", report.workers},
                                        {"load", rounded_share(report.load)},
                                        {"duration_s", rounded_ms(to_ms(report.duration)) / 1e3},
                                        {"calls", report.calls},
                                        {"refused", report.refused},
                                        {"utilisation", rounded_share(report.utilisation())},
                                        {"hit_rate", rounded_share(report.hit_rate())},
                                        {"wait_ms", wait},
                                        {"latency_ms", latency}};
  if (report.sustain_p99_ms) members.emplace_back("sustain_p99_ms", *report.sustain_p99_ms);
  return Value::map(members).to_json();
}

std::string to_table(std::span<const Report> reports) {
  std::string table;
  for (const Row& row : rows()) {
    fmt::format_to(std::back_inserter(table), "{:<16}", row.name);
    for (const Report& report : reports) {
      fmt::format_to(std::back_inserter(table), "{:>15}", row.cell(report));
    }
    table += '\n';
  }
  return table;
}

}  // namespace dspool::simulation
