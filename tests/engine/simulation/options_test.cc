#include "engine/simulation/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <ostream>

#include "engine/simulation/workload.h"

namespace dspool::simulation {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

TEST(SimulationOptionsTest, FitTogetherByDefault) { EXPECT_TRUE(validate(Options{})); }

TEST(SimulationOptionsTest, AllowTenThousandWorkersAndTenMillionSessions) {
  EXPECT_TRUE(validate({.workers = 10'000, .sessions = 10'000'000, .duration_seconds = 60}));
}

struct Wrong {
  const char* name;
  std::function<void(Options&)> set;
  const char* message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }

class WrongSimulationOptionsTest : public testing::TestWithParam<Wrong> {};

TEST_P(WrongSimulationOptionsTest, AreRefusedWithAReason) {
  Options options;
  GetParam().set(options);
  const Result<void> valid = validate(options);
  ASSERT_FALSE(valid);
  EXPECT_EQ(valid.error().category, ErrorCategory::kInitialization);
  EXPECT_EQ(valid.error().code, "invalid_options");
  EXPECT_THAT(valid.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongSimulationOptionsTest,
    testing::Values(
        Wrong{"NoWorkers", [](Options& o) { o.workers = 0; },
              "--workers must be between 1 and 10000, not 0"},
        Wrong{"TooManyWorkers", [](Options& o) { o.workers = 10'001; }, "--workers must be"},
        Wrong{"NoSessions", [](Options& o) { o.sessions = 0; }, "--sessions must be"},
        Wrong{"TooManySessions", [](Options& o) { o.sessions = 10'000'001; },
              "--sessions must be between 1 and 10000000"},
        Wrong{"NegativeZipf", [](Options& o) { o.zipf = -0.1; }, "--zipf must be"},
        Wrong{"NoService", [](Options& o) { o.service_ms = 0; }, "--service-ms must be"},
        Wrong{"ServiceThatIsNoNumber", [](Options& o) { o.service_ms = std::nan(""); },
              "--service-ms must be"},
        Wrong{"NegativeCv", [](Options& o) { o.service_cv = -1; }, "--service-cv must be"},
        Wrong{"NegativeMiss", [](Options& o) { o.miss_ms = -1; }, "--miss-ms must be"},
        Wrong{"NoLoad", [](Options& o) { o.load = 0; }, "--load must be"},
        Wrong{"LoadInPercent", [](Options& o) { o.load = 80; }, "--load must be between"},
        Wrong{"NoQueue", [](Options& o) { o.queue = 0; }, "--queue must be"},
        Wrong{"NoDuration", [](Options& o) { o.duration_seconds = 0; }, "--duration must be"},
        Wrong{"NegativeSustain", [](Options& o) { o.sustain_p99_ms = -1; }, "--sustain must be"},
        Wrong{"NoPolicy", [](Options& o) { o.policies.clear(); }, "--policy needs one of central"},
        Wrong{"SustainAndLoad", [](Options& o) { o.sustain_p99_ms = 9, o.load = 0.5; },
              "--sustain and --load exclude each other"},
        Wrong{"SustainAndQueue", [](Options& o) { o.sustain_p99_ms = 9, o.queue = 5; },
              "leave out --queue"},
        Wrong{"TooManyCalls", [](Options& o) { o.workers = 10'000, o.service_ms = 0.01; },
              "lower --duration"},
        Wrong{"TooMuchWork",
              [](Options& o) { o.workers = 1'000, o.service_ms = 20, o.miss_ms = 3'600'000; },
              "lower --duration, --service-ms or --miss-ms"}),
    [](const auto& test) { return std::string(test.param.name); });

load::Trace trace_of(std::vector<load::Arrival> arrivals) {
  return {.session_ids = {}, .arrivals = std::move(arrivals)};
}

TEST(SimulationOptionsTest, LeaveSessionsToATraceThatNamesThem) {
  load::Trace trace = trace_of({{.at = seconds(0)}, {.at = seconds(1)}});
  const Options options{.sessions = 10, .trace_file = "a.csv"};
  EXPECT_TRUE(validate(options, trace));
  trace.session_ids = {"alice"};
  const Result<void> valid = validate(options, trace);
  ASSERT_FALSE(valid);
  EXPECT_EQ(valid.error().message, "a.csv names its sessions: leave out --sessions and --zipf");
}

TEST(SimulationOptionsTest, WantATraceThatHasAPace) {
  const Result<void> valid =
      validate(Options{.trace_file = "a.csv"}, trace_of({{.at = seconds(0)}, {.at = seconds(0)}}));
  ASSERT_FALSE(valid);
  EXPECT_THAT(valid.error().message, HasSubstr("no two arrivals at different times"));
}

TEST(SimulationOptionsTest, WantATraceThatEnds) {
  std::vector<load::Arrival> arrivals(20'000);
  arrivals.back().at = seconds(1);
  const Result<void> valid =
      validate(Options{.workers = 1, .service_ms = 3'600'000, .load = 1e-4, .trace_file = "a.csv"},
               trace_of(std::move(arrivals)));
  ASSERT_FALSE(valid);
  EXPECT_THAT(valid.error().message, HasSubstr("raise --load"));
}

}  // namespace
}  // namespace dspool::simulation
