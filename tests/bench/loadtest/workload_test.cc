#include "bench/loadtest/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_file.h"

namespace dspool::loadtest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class WorkloadTest : public testing::Test {
 protected:
  std::string write(std::string_view text) { return file_.write(text); }

 private:
  test::TemporaryFile file_;
};

TEST_F(WorkloadTest, IncrementsAHundredSessionsAHundredTimesByDefault) {
  const Result<Workload> workload = make_workload({});
  ASSERT_TRUE(workload);
  EXPECT_EQ(workload->session_ids.size(), 100U);
  EXPECT_EQ(workload->command, "increment");
  EXPECT_EQ(workload->check, Check::kCounter);
  EXPECT_EQ(workload->total_operations, 10'000U);
  EXPECT_TRUE(workload->args({}).is_null());
}

TEST_F(WorkloadTest, IsBoundedByTheDurationWhereOneIsGiven) {
  const Result<Workload> workload = make_workload({.duration_seconds = 2.5, .warmup_seconds = 1});
  EXPECT_EQ(workload->total_operations, std::nullopt);
  EXPECT_EQ(workload->window.warmup, std::chrono::seconds(1));
  EXPECT_EQ(workload->window.end, std::chrono::milliseconds(3500));
}

TEST_F(WorkloadTest, IsBoundedByTenMinutesWhereNoDurationIsGiven) {
  EXPECT_EQ(make_workload({})->window.end, std::chrono::minutes(10));
}

TEST_F(WorkloadTest, AsksMadeUpQuestionsOfDspy) {
  const Result<Workload> workload = make_workload({.adapter = "dspy"});
  EXPECT_EQ(workload->command, "predict");
  EXPECT_EQ(workload->check, Check::kEachCommits);
  EXPECT_EQ(workload->args({.session = 3, .index = 1})["question"].as_string(),
            made_up_question(3, 1));
}

TEST_F(WorkloadTest, TakesArgumentsOfOnesOwn) {
  const Result<Workload> workload =
      make_workload({.adapter = "a.b:C", .command = "greet", .args = "{\"n\": 1}"});
  ASSERT_TRUE(workload);
  EXPECT_EQ(workload->check, Check::kVersionsOnly);
  EXPECT_EQ(workload->args({})["n"].as_int64(), 1);
}

TEST_F(WorkloadTest, DoesNotExpectAnIncrementToAddOneWhereItIsToldWhatToAdd) {
  EXPECT_EQ(make_workload({.args = "{\"by\": 2}"})->check, Check::kEachCommits);
}

TEST_F(WorkloadTest, RefusesArgumentsThatAreNoObject) {
  EXPECT_THAT(make_workload({.args = "{"}).error().message, HasSubstr("--args: "));
  EXPECT_THAT(make_workload({.args = "[1]"}).error().message, HasSubstr("must be a JSON object"));
}

TEST_F(WorkloadTest, HoldsEachConversationInASessionOfItsOwn) {
  const std::string file = write(
      "{\"question_id\": 81, \"turns\": [\"one\", \"two\"]}\n"
      "{\"question_id\": 82, \"turns\": [\"three\"]}\n");
  const Result<Workload> workload = make_workload({.questions_file = file});
  ASSERT_TRUE(workload) << workload.error().message;
  EXPECT_THAT(workload->session_ids, ElementsAre("conversation-0-81", "conversation-1-82"));
  EXPECT_EQ(workload->command, "predict");
  EXPECT_EQ(workload->total_operations, 3U);
  EXPECT_EQ(workload->args({.session = 0, .index = 1})["question"].as_string(), "two");
}

TEST_F(WorkloadTest, BeginsTheConversationsAgainForMoreSessions) {
  const std::string file = write("{\"question_id\": 81, \"turns\": [\"one\"]}\n");
  const Result<Workload> workload = make_workload({.sessions = 3, .questions_file = file});
  ASSERT_TRUE(workload);
  EXPECT_THAT(workload->session_ids,
              ElementsAre("conversation-0-81", "conversation-1-81", "conversation-2-81"));
}

TEST_F(WorkloadTest, ReplaysATraceWithItsSessionsAndSizes) {
  const std::string file =
      write("timestamp_ms,session_id,input_bytes,output_bytes\n0,a,3,7\n1,b,0,0\n");
  const Result<Workload> workload = make_workload({.trace_file = file, .command = "echo"});
  ASSERT_TRUE(workload) << workload.error().message;
  EXPECT_THAT(workload->session_ids, ElementsAre("a", "b"));
  EXPECT_EQ(workload->total_operations, 2U);
  const Value args = workload->args(*workload->schedule->next(Elapsed(0)));
  EXPECT_EQ(args["payload"].as_string(), "xxx");
  EXPECT_EQ(args["output_bytes"].as_int64(), 7);
}

TEST_F(WorkloadTest, IncrementsAtTheTimesOfATrace) {
  const std::string file = write("timestamp_ms,session_id,input_bytes,output_bytes\n0,a,3,7\n");
  const Result<Workload> workload = make_workload({.trace_file = file});
  ASSERT_TRUE(workload) << workload.error().message;
  EXPECT_EQ(workload->check, Check::kCounter);
  EXPECT_TRUE(workload->args(*workload->schedule->next(Elapsed(0))).is_null());
}

TEST_F(WorkloadTest, HasATracesIncrementsWaitAsLongAsTheyAreTold) {
  const std::string file = write("timestamp_ms,session_id,input_bytes,output_bytes\n0,a,3,7\n");
  const Result<Workload> workload = make_workload({.trace_file = file, .service_ms = 20});
  ASSERT_TRUE(workload) << workload.error().message;
  const Value args = workload->args(*workload->schedule->next(Elapsed(0)));
  EXPECT_EQ(args["service_ms"].as_double(), 20);
}

TEST_F(WorkloadTest, RefusesSessionsForATraceThatNamesThem) {
  const std::string file = write("timestamp_ms,session_id,input_bytes,output_bytes\n0,a,3,7\n");
  EXPECT_THAT(make_workload({.sessions = 3, .trace_file = file}).error().message,
              HasSubstr("leave out --sessions"));
}

TEST_F(WorkloadTest, DrawsSessionsForATraceWithoutThem) {
  const std::string file = write(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,2,1\n2023-11-16 "
      "18:15:47,1,1\n");
  const Result<Workload> workload =
      make_workload({.adapter = "dspy", .sessions = 5, .trace_file = file});
  ASSERT_TRUE(workload) << workload.error().message;
  EXPECT_EQ(workload->session_ids.size(), 5U);
  const std::optional<Start> start = workload->schedule->next(Elapsed(0));
  EXPECT_LT(start->session, 5U);
  EXPECT_EQ(workload->args(*start)["question"].as_string().size(), 8U);
}

TEST_F(WorkloadTest, NamesTheLineOfAFileThatIsWrong) {
  const std::string file = write("{\"question_id\": 1, \"turns\": []}\n");
  EXPECT_THAT(make_workload({.questions_file = file}).error().message, HasSubstr(file + ":1: "));
  EXPECT_THAT(make_workload({.trace_file = file}).error().message, HasSubstr(file + ":1: "));
}

}  // namespace
}  // namespace dspool::loadtest
