#include "engine/telemetry/metrics.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <type_traits>
#include <utility>

namespace dspool::telemetry {
namespace {

// What an outlet would make of the metrics: a number for each series.
std::map<std::string, double> series_of(const Metrics& metrics) {
  std::map<std::string, double> series;
  metrics.visit([&]<typename Metric>(const MetricName& name, const Metric& metric) {
    std::string key(name.name);
    if (!name.label.empty()) {
      key.append("{").append(name.label).append("=").append(name.label_value).append("}");
    }
    double value = 0;
    if constexpr (std::is_same_v<Metric, Histogram>) {
      value = static_cast<double>(metric.snapshot().count);
    } else {
      value = static_cast<double>(metric.value());
    }
    EXPECT_TRUE(series.emplace(std::move(key), value).second) << "a second " << name.name;
    EXPECT_FALSE(name.help.empty()) << name.name;
  });
  return series;
}

TEST(MetricsTest, ShowsEachUnderItsName) {
  Metrics metrics;
  metrics.calls_ended.add(5);
  metrics.errors_of(ErrorCategory::kTimeout).add(2);
  metrics.errors_of(ErrorCategory::kPython).add();
  metrics.in_flight.add(3);
  metrics.queue_time.record(1'000);

  std::map<std::string, double> series = series_of(metrics);
  EXPECT_EQ(series["dspool_calls_total"], 5);
  EXPECT_EQ(series["dspool_errors_total{category=timeout}"], 2);
  EXPECT_EQ(series["dspool_errors_total{category=python}"], 1);
  EXPECT_EQ(series["dspool_errors_total{category=session}"], 0);
  EXPECT_EQ(series["dspool_attempts_in_flight"], 3);
  EXPECT_EQ(series["dspool_queue_time_seconds"], 1);
  EXPECT_EQ(metrics.total_errors(), 3U);
}

TEST(MetricsTest, CountersEndInTotalAndNothingElseDoes) {
  Metrics().visit([]<typename Metric>(const MetricName& name, const Metric&) {
    EXPECT_EQ((std::is_same_v<Metric, Counter>), name.name.ends_with("_total")) << name.name;
    EXPECT_EQ((std::is_same_v<Metric, Histogram>), name.name.ends_with("_seconds")) << name.name;
  });
}

}  // namespace
}  // namespace dspool::telemetry
