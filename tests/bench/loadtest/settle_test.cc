#include "bench/loadtest/settle.h"

#include <gtest/gtest.h>

#include <future>

#include "tests/bench/loadtest/fake_pool.h"

namespace dspool::loadtest {
namespace {

class SettleTest : public testing::Test {
 protected:
  SettleTest() {
    workload_.session_ids = {"a", "b", "unused"};
    workload_.check = Check::kCounter;
    for (const std::uint32_t session : {0U, 0U, 1U}) increment(session);
  }

  void increment(std::uint32_t session) {
    const OrderChecker::Ticket ticket = checker_.submitted(session);
    std::promise<Answer> promise;
    pool_.submit(workload_.session_ids[session], "increment", Value(),
                 [&promise](Result<Answer> result) { promise.set_value(*result); }, {});
    const Answer answer = promise.get_future().get();
    const auto value = static_cast<std::uint64_t>(answer.value["value"].as_int64());
    checker_.answered(session, ticket, value, answer.version);
  }

  FakePool pool_;
  Workload workload_;
  OrderChecker checker_{OrderChecker::Rule::kEachCountsOne, 3};
};

TEST_F(SettleTest, ReadsTheCounterOfEachUsedSession) {
  EXPECT_EQ(settle(pool_, workload_, checker_), 0U);
  EXPECT_TRUE(checker_.finish().clean());
  EXPECT_FALSE(pool_.sessions().contains("unused"));
}

TEST_F(SettleTest, AsksForVersionsWhereThereIsNoCounter) {
  workload_.check = Check::kEachCommits;
  EXPECT_EQ(settle(pool_, workload_, checker_), 0U);
  EXPECT_TRUE(checker_.finish().clean());
}

TEST_F(SettleTest, TakesASessionThatIsGoneForLost) {
  pool_.forget("a");
  EXPECT_EQ(settle(pool_, workload_, checker_), 0U);
  EXPECT_EQ(checker_.finish().lost, 2U);
}

TEST_F(SettleTest, TakesAVersionThatIsGoneForLost) {
  workload_.check = Check::kEachCommits;
  pool_.forget("a");
  EXPECT_EQ(settle(pool_, workload_, checker_), 0U);
  EXPECT_EQ(checker_.finish().lost, 2U);
}

TEST_F(SettleTest, AsksAgainWhereThePoolHadNoRoom) {
  pool_.be_busy_for(5);
  EXPECT_EQ(settle(pool_, workload_, checker_), 0U);
  EXPECT_TRUE(checker_.finish().clean());
}

TEST_F(SettleTest, CountsSessionsThatDoNotAnswer) {
  pool_.refuse_reads();
  EXPECT_EQ(settle(pool_, workload_, checker_), 2U);
  EXPECT_TRUE(checker_.finish().clean());
}

}  // namespace
}  // namespace dspool::loadtest
