#include "engine/load/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace dspool::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view kOwnHeader = "timestamp_ms,session_id,input_bytes,output_bytes\n";
constexpr std::string_view kAzureHeader = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

std::string error_of(std::string_view header, std::string_view lines) {
  const Result<Trace> trace = parse_trace(std::string(header).append(lines), "trace.csv");
  return trace ? "no error" : trace.error().message;
}

TEST(TraceTest, ReadsSessionsAndSizes) {
  const Result<Trace> trace =
      parse_trace(std::string(kOwnHeader) + "1000,alice,10,20\n1000.5,bob,30,40\n1002,alice,5,6\n",
                  "trace.csv");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_THAT(trace->session_ids, ElementsAre("alice", "bob"));
  ASSERT_EQ(trace->arrivals.size(), 3U);
  EXPECT_EQ(trace->arrivals[0].at, nanoseconds(0));
  EXPECT_EQ(trace->arrivals[1].at, nanoseconds(500'000));
  EXPECT_EQ(trace->arrivals[1].session, 1U);
  EXPECT_EQ(trace->arrivals[1].input_bytes, 30U);
  EXPECT_EQ(trace->arrivals[1].output_bytes, 40U);
  EXPECT_EQ(trace->arrivals[2].at, milliseconds(2));
  EXPECT_EQ(trace->arrivals[2].session, 0U);
}

TEST(TraceTest, ReadsColumnsInAnyOrderAndLinesWithCarriageReturns) {
  const Result<Trace> trace = parse_trace(
      "session_id,output_bytes,input_bytes,timestamp_ms\r\nalice,1,2,3\r\n", "trace.csv");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->arrivals[0].input_bytes, 2U);
  EXPECT_EQ(trace->arrivals[0].output_bytes, 1U);
}

TEST(TraceTest, PutsArrivalsInOrderOfTime) {
  const Result<Trace> trace =
      parse_trace(std::string(kOwnHeader) + "9,a,1,1\n4,b,2,2\n9,c,3,3\n", "trace.csv");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->arrivals[0].input_bytes, 2U);
  EXPECT_EQ(trace->arrivals[1].input_bytes, 1U);
  EXPECT_EQ(trace->arrivals[2].input_bytes, 3U);
  EXPECT_EQ(trace->arrivals[2].at, milliseconds(5));
}

TEST(TraceTest, ReadsAzureTimesAndTokens) {
  const Result<Trace> trace = parse_trace(std::string(kAzureHeader) +
                                              "2023-11-16 23:59:59.6805900,374,44\n"
                                              "2024-05-10T00:00:00.009930+00:00,1,2\n"
                                              "2023-11-17 00:00:00,1,0\n",
                                          "trace.csv");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_TRUE(trace->session_ids.empty());
  EXPECT_EQ(trace->arrivals[0].input_bytes, 4U * 374);
  EXPECT_EQ(trace->arrivals[0].output_bytes, 4U * 44);
  EXPECT_EQ(trace->arrivals[1].at, nanoseconds(319'410'000));
  EXPECT_EQ(trace->arrivals[2].at, std::chrono::hours(24 * 175) + nanoseconds(329'340'000));
}

TEST(TraceTest, NamesTheLineThatIsWrong) {
  EXPECT_THAT(error_of(kOwnHeader, "1,a,1,1\n2,a,1\n"),
              StartsWith("trace.csv:3: 3 columns, where the header has 4"));
  EXPECT_THAT(error_of(kOwnHeader, "now,a,1,1\n"), StartsWith("trace.csv:2: 'now' is not a time"));
  EXPECT_THAT(error_of(kOwnHeader, "-1,a,1,1\n"), HasSubstr("is not a time"));
  EXPECT_THAT(error_of(kOwnHeader, "nan,a,1,1\n"), HasSubstr("is not a time"));
  EXPECT_THAT(error_of(kOwnHeader, "1,a,-1,1\n"), HasSubstr("'-1' is not a size"));
  EXPECT_THAT(error_of(kOwnHeader, "1,a,1,1x\n"), HasSubstr("'1x' is not a size"));
  EXPECT_THAT(error_of(kOwnHeader, "1,a,1,99999999999\n"), HasSubstr("is not a size"));
  EXPECT_THAT(error_of(kOwnHeader, "1,,1,1\n"), HasSubstr("a session id has 1 to 128 bytes"));
  EXPECT_THAT(error_of(kOwnHeader, ""), HasSubstr("no arrival"));
}

TEST(TraceTest, NamesAnAzureTimeThatIsNone) {
  for (const char* const time :
       {"yesterday", "2023-13-01 00:00:00", "2023-02-30 00:00:00", "2023-11-16 24:00:00",
        "2023-11-16 18:15:46.x", "2023-11-16 18:15:46,5", "2023-11-16", "1969-12-31 00:00:00",
        "2262-01-01 00:00:00", "9999-12-31 23:59:59"}) {
    EXPECT_THAT(error_of(kAzureHeader, std::string(time) + ",1,1\n"), StartsWith("trace.csv:2:"))
        << time;
  }
}

TEST(TraceTest, TellsWhichYearsATimeMayBeOf) {
  EXPECT_THAT(error_of(kAzureHeader, "2300-01-01 00:00:00,1,1\n"),
              HasSubstr("'2300-01-01 00:00:00' is not a time of the years 1970 to 2261"));
  EXPECT_EQ(error_of(kAzureHeader, "1970-01-01 00:00:00,1,1\n2261-12-31 23:59:59,1,1\n"),
            "no error");
}

TEST(TraceTest, RefusesAnotherHeader) {
  EXPECT_THAT(error_of("time,session\n", "1,2\n"), StartsWith("trace.csv:1: the header must be"));
  EXPECT_THAT(error_of("", ""), HasSubstr("the header must be"));
}

TEST(TraceTest, NamesAFileThatIsNotThere) {
  const Result<Trace> trace = read_trace("no/such/trace.csv");
  ASSERT_FALSE(trace);
  EXPECT_EQ(trace.error().code, "invalid_options");
  EXPECT_THAT(trace.error().message, HasSubstr("no/such/trace.csv: No such file"));
}

TEST(TraceTest, RefusesADirectory) {
  const Result<Trace> trace = read_trace(testing::TempDir());
  ASSERT_FALSE(trace);
  EXPECT_EQ(trace.error().code, "invalid_options");
  EXPECT_EQ(trace.error().message, "cannot read " + testing::TempDir() + ": Is a directory");
}

TEST(TraceTest, ReadsTheTraceOfAProductionService) {
  const std::filesystem::path file =
      std::filesystem::path(DSPOOL_DATA_DIR) / "azure_llm_inference_conv_2023.csv";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is absent";
  const Result<Trace> trace = read_trace(file);
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->arrivals.size(), 19'366U);
  EXPECT_EQ(trace->arrivals[0].input_bytes, 4U * 374);
  EXPECT_GT(trace->arrivals.back().at, std::chrono::minutes(58));
  EXPECT_LT(trace->arrivals.back().at, std::chrono::minutes(60));
}

}  // namespace
}  // namespace dspool::load
