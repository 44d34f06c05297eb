#include "bench/loadtest/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <ostream>

namespace dspool::loadtest {
namespace {

using testing::HasSubstr;

TEST(OptionsTest, FitTogetherByDefault) { EXPECT_TRUE(validate(Options{})); }

TEST(OptionsTest, AllowAsMuchAsTheConfiguration) {
  Config config;
  config.pool_size = 1024;
  config.worker.max_in_flight = 256;
  EXPECT_TRUE(config.validate());
  EXPECT_TRUE(validate({.workers = 1024, .max_in_flight = 256}));
  config.pool_size = 1025;
  EXPECT_FALSE(config.validate());
  EXPECT_FALSE(validate({.workers = 1025}));
}

TEST(OptionsTest, LetACommandOfOnesOwnAnswerQuestions) {
  EXPECT_TRUE(validate({.adapter = "dspy", .questions_file = "q"}));
  EXPECT_TRUE(validate({.questions_file = "q", .command = "echo"}));
}

struct Wrong {
  const char* name;
  std::function<void(Options&)> set;
  const char* message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }

class WrongOptionsTest : public testing::TestWithParam<Wrong> {};

TEST_P(WrongOptionsTest, AreRefusedWithAReason) {
  Options options;
  GetParam().set(options);
  const Result<void> valid = validate(options);
  ASSERT_FALSE(valid);
  EXPECT_EQ(valid.error().category, ErrorCategory::kInitialization);
  EXPECT_EQ(valid.error().code, "invalid_options");
  EXPECT_THAT(valid.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongOptionsTest,
    testing::Values(
        Wrong{"RateAndConcurrency", [](Options& o) { o.rate = 10, o.concurrency = 2; },
              "--rate and --concurrency exclude each other"},
        Wrong{"TraceAndQuestions", [](Options& o) { o.trace_file = "t", o.questions_file = "q"; },
              "--trace and --questions exclude"},
        Wrong{"TraceAndRate", [](Options& o) { o.trace_file = "t", o.rate = 1; },
              "change its pace with --speedup"},
        Wrong{"TraceAndConcurrency", [](Options& o) { o.trace_file = "t", o.concurrency = 1; },
              "--trace and --concurrency exclude"},
        Wrong{"TraceAndOps", [](Options& o) { o.trace_file = "t", o.ops = 1; },
              "--trace and --ops exclude"},
        Wrong{"TraceAndArgs", [](Options& o) { o.trace_file = "t", o.args = "{}"; },
              "--trace and --args exclude"},
        Wrong{"QuestionsAndOps", [](Options& o) { o.questions_file = "q", o.ops = 1; },
              "--questions and --ops exclude"},
        Wrong{"QuestionsAndArgs", [](Options& o) { o.questions_file = "q", o.args = "{}"; },
              "--questions and --args exclude"},
        Wrong{"QuestionsAndZipf", [](Options& o) { o.questions_file = "q", o.zipf = 1; },
              "--questions and --zipf exclude"},
        Wrong{"SpeedupWithoutTrace", [](Options& o) { o.speedup = 2; }, "pace of a --trace"},
        Wrong{"ApiBaseWithoutModel",
              [](Options& o) { o.adapter = "dspy", o.api_base = "http://localhost"; },
              "--api-base needs --model"},
        Wrong{"ModelWithoutApiBase", [](Options& o) { o.adapter = "dspy", o.model = "openai/x"; },
              "--model needs --api-base"},
        Wrong{"ApiBaseAndOfflineLatency",
              [](Options& o) {
                o.adapter = "dspy", o.api_base = "u", o.model = "m", o.offline_latency_ms = 1;
              },
              "--api-base and --offline-latency-ms exclude"},
        Wrong{"ApiBaseForAnAdapterWithoutModel",
              [](Options& o) { o.api_base = "u", o.model = "m"; }, "asks no language model"},
        Wrong{"UnknownAdapter", [](Options& o) { o.adapter = "dspi"; },
              "must be loadtest, dspy, or package.module:Class, not 'dspi'"},
        Wrong{"AdapterWithoutCommand", [](Options& o) { o.adapter = "a.b:C"; },
              "--adapter a.b:C needs --command"},
        Wrong{"QuestionsForAnAdapterThatAnswersNone", [](Options& o) { o.questions_file = "q"; },
              "--questions needs --adapter dspy, or --command"},
        Wrong{"NoWorkers", [](Options& o) { o.workers = 0; }, "--workers must be between 1 and"},
        Wrong{"TooManyInFlight", [](Options& o) { o.max_in_flight = 257; },
              "--max-in-flight must be between 1 and 256"},
        Wrong{"NoSessions", [](Options& o) { o.sessions = 0; }, "--sessions must be between"},
        Wrong{"NoOps", [](Options& o) { o.ops = 0; }, "--ops must be between"},
        Wrong{"NoConcurrency", [](Options& o) { o.concurrency = 0; }, "--concurrency must be"},
        Wrong{"NegativeRate", [](Options& o) { o.rate = -1; }, "--rate must be between"},
        Wrong{"RateThatIsNoNumber", [](Options& o) { o.rate = std::nan(""); }, "--rate must be"},
        Wrong{"NegativeDuration", [](Options& o) { o.duration_seconds = -1; }, "--duration must"},
        Wrong{"NegativeWarmup", [](Options& o) { o.warmup_seconds = -1; }, "--warmup must be"},
        Wrong{"NegativeZipf", [](Options& o) { o.zipf = -0.1; }, "--zipf must be between"},
        Wrong{"KillsWithoutPause", [](Options& o) { o.kill_every_seconds = 0; }, "--kill-every"},
        Wrong{"KillsHalfBeforeItBegins", [](Options& o) { o.kill_half_at_seconds = 0; },
              "--kill-half-at must be between"},
        Wrong{"OverloadWithoutAServiceTime", [](Options& o) { o.overload = 2; },
              "--overload needs --service-ms"},
        Wrong{"OverloadAtARate", [](Options& o) { o.overload = 2, o.service_ms = 20, o.rate = 10; },
              "--overload and --rate exclude each other"},
        Wrong{"NoOverload", [](Options& o) { o.overload = 0, o.service_ms = 20; },
              "--overload must be between"},
        Wrong{"NoServiceTime", [](Options& o) { o.service_ms = 0; }, "--service-ms must be"},
        Wrong{"AServiceTimeOfAnotherCommand",
              [](Options& o) { o.service_ms = 1, o.command = "echo"; }, "--service-ms goes with"},
        Wrong{"ChurnsWithoutPause", [](Options& o) { o.churn_seconds = 0; }, "--churn"},
        Wrong{"NoTimeout", [](Options& o) { o.timeout_ms = 0; }, "--timeout must be between"}),
    [](const testing::TestParamInfo<Wrong>& wrong) { return wrong.param.name; });

}  // namespace
}  // namespace dspool::loadtest
