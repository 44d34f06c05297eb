#include "bench/loadtest/order_checker.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/seed.h"

namespace dspool::loadtest {
namespace {

using Rule = OrderChecker::Rule;
using Ticket = OrderChecker::Ticket;

constexpr std::uint32_t kSession = 0;

// One session, whose operations are written down in the order in which they happen.
class OrderCheckerTest : public testing::Test {
 protected:
  Ticket submit() { return checker_.submitted(kSession); }
  void answer(Ticket ticket, std::uint64_t number) {
    checker_.answered(kSession, ticket, number, number);
  }
  void fail(StateApplied applied) { checker_.failed(kSession, submit(), applied); }

  // Operations one after the other, answered with these numbers.
  void answer_each(std::initializer_list<std::uint64_t> numbers) {
    for (const std::uint64_t number : numbers) answer(submit(), number);
  }
  void settle(std::uint64_t number) { checker_.settled(kSession, number); }

  void expect(const Verdicts& expected) {
    const Verdicts verdicts = checker_.finish();
    EXPECT_EQ(verdicts.lost, expected.lost);
    EXPECT_EQ(verdicts.duplicated, expected.duplicated);
    EXPECT_EQ(verdicts.out_of_order, expected.out_of_order);
    EXPECT_EQ(verdicts.crossed, expected.crossed);
  }

  OrderChecker checker_{Rule::kEachCountsOne, 1};
};

TEST_F(OrderCheckerTest, FindsNothingWhereEachOperationCountsOne) {
  answer_each({1, 2, 3});
  settle(3);
  expect({});
}

TEST_F(OrderCheckerTest, KnowsWhichSessionsWereUsed) {
  OrderChecker checker(Rule::kEachCountsOne, 2);
  checker.submitted(1);
  EXPECT_FALSE(checker.touched(0));
  EXPECT_TRUE(checker.touched(1));
}

TEST_F(OrderCheckerTest, CountsANumberThatComesTwiceAsALostEffect) {
  answer_each({1, 2, 2, 3});
  settle(3);
  expect({.lost = 1});
}

TEST_F(OrderCheckerTest, CountsAllEffectsThatASessionFellBackBy) {
  answer_each({1, 2, 3, 4, 1, 2});
  settle(2);
  expect({.lost = 4});
}

TEST_F(OrderCheckerTest, CountsLostEffectsThatShowOnlyAtTheEnd) {
  answer_each({1, 2, 3});
  settle(1);
  expect({.lost = 2});
}

TEST_F(OrderCheckerTest, CountsASessionThatIsGoneAsLost) {
  answer_each({1, 2, 3});
  settle(0);
  expect({.lost = 3});
}

TEST_F(OrderCheckerTest, CountsASkippedNumberAsADuplicatedEffect) {
  answer_each({1, 3, 4});
  settle(4);
  expect({.duplicated = 1});
}

TEST_F(OrderCheckerTest, CountsDuplicatedEffectsThatShowOnlyAtTheEnd) {
  answer_each({1, 2});
  settle(4);
  expect({.duplicated = 2});
}

TEST_F(OrderCheckerTest, CountsLostAndDuplicatedEffectsThatCancelEachOther) {
  answer_each({1, 1, 3});
  settle(3);
  expect({.lost = 1, .duplicated = 1});
}

TEST_F(OrderCheckerTest, CountsAHugeJumpWithoutFollowingIt) {
  answer_each({1, 1'000'002});
  settle(1'000'002);
  expect({.duplicated = 1'000'000});
}

TEST_F(OrderCheckerTest, TakesOverlappingOperationsInOrderOfSubmission) {
  const Ticket first = submit();
  const Ticket second = submit();
  const Ticket third = submit();
  answer(third, 3);
  answer(first, 1);
  answer(second, 2);
  settle(3);
  expect({});
}

TEST_F(OrderCheckerTest, CountsAnOvertakingAsOutOfOrder) {
  const Ticket first = submit();
  const Ticket second = submit();
  answer(first, 2);
  answer(second, 1);
  answer_each({3});
  settle(3);
  expect({.out_of_order = 1});
}

TEST_F(OrderCheckerTest, CountsAVersionThatDoesNotGrowAsOutOfOrder) {
  checker_.answered(kSession, submit(), 1, 5);
  checker_.answered(kSession, submit(), 2, 5);
  settle(2);
  expect({.out_of_order = 1});
}

TEST_F(OrderCheckerTest, CountsAnAnswerForAnotherSessionAsCrossed) {
  answer_each({1});
  checker_.answered_for_another(kSession, submit());
  answer_each({3});
  settle(3);
  expect({.crossed = 1});
}

TEST_F(OrderCheckerTest, KeepsSessionsApart) {
  OrderChecker checker(Rule::kEachCountsOne, 2);
  for (const std::uint32_t session : {0U, 1U}) {
    checker.answered(session, checker.submitted(session), 1, 1);
    checker.settled(session, 1);
  }
  EXPECT_TRUE(checker.finish().clean());
}

// What an operation without an answer did to the state.

TEST_F(OrderCheckerTest, AllowsNothingToAnErrorThatDidNotApply) {
  answer_each({1});
  fail(StateApplied::kNo);
  answer_each({3});
  settle(3);
  expect({.duplicated = 1});
}

TEST_F(OrderCheckerTest, FindsNothingWhereAnErrorThatDidNotApplyDidNotCount) {
  answer_each({1});
  fail(StateApplied::kNo);
  answer_each({2});
  settle(2);
  expect({});
}

TEST_F(OrderCheckerTest, AllowsAnUnknownEffectToCountOrNot) {
  fail(StateApplied::kUnknown);
  answer_each({1});
  fail(StateApplied::kUnknown);
  answer_each({3});
  fail(StateApplied::kUnknown);
  settle(4);
  expect({});
}

TEST_F(OrderCheckerTest, AllowsAnUnknownEffectToCountOnlyOnce) {
  answer_each({1});
  fail(StateApplied::kUnknown);
  answer_each({4});
  settle(4);
  expect({.duplicated = 1});
}

TEST_F(OrderCheckerTest, ExpectsAnEffectThatAnErrorConfirmed) {
  answer_each({1});
  fail(StateApplied::kYes);
  answer_each({3});
  settle(3);
  expect({});
}

TEST_F(OrderCheckerTest, CountsAConfirmedEffectThatIsMissingAsLost) {
  answer_each({1});
  fail(StateApplied::kYes);
  answer_each({2});
  settle(2);
  expect({.lost = 1});
}

TEST_F(OrderCheckerTest, TakesWhatHasNotEndedForUnknown) {
  submit();
  answer(submit(), 2);
  settle(2);
  expect({});
}

TEST_F(OrderCheckerTest, JudgesByAnswersAloneWhereTheEndIsNotKnown) {
  answer_each({1, 2, 4});
  expect({.duplicated = 1});
}

// Sessions of which only the version is known.

class VersionsOnlyTest : public OrderCheckerTest {
 protected:
  VersionsOnlyTest() { checker_ = OrderChecker(Rule::kNeverBack, 1); }
};

TEST_F(VersionsOnlyTest, AllowsAnyNumberThatIsNotLower) {
  answer_each({0, 0, 1, 5, 5});
  fail(StateApplied::kNo);
  answer_each({9});
  settle(20);
  expect({});
}

TEST_F(VersionsOnlyTest, CountsAVersionBelowOneThatWasKnownAsLost) {
  answer_each({1, 5, 3});
  settle(3);
  expect({.lost = 2});
}

TEST_F(VersionsOnlyTest, CountsALowerVersionAtTheEndAsLost) {
  answer_each({1, 5});
  settle(0);
  expect({.lost = 5});
}

TEST_F(VersionsOnlyTest, CountsAnOvertakingAsOutOfOrder) {
  const Ticket first = submit();
  const Ticket second = submit();
  answer(first, 2);
  answer(second, 1);
  settle(2);
  expect({.out_of_order = 1});
}

// A pool that keeps its promises, with overlapping operations, answers in any order and errors of
// all kinds, is never found guilty; and the same pool with one effect too few or too many always
// is.
class RandomPool {
 public:
  explicit RandomPool(std::uint64_t seed) : random_(seed) {}

  // `slip` is added to the counter at one operation, in the middle.
  Verdicts run(std::int64_t slip) {
    OrderChecker checker(Rule::kEachCountsOne, 1);
    constexpr int kOperations = 200;
    std::vector<std::pair<Ticket, std::uint64_t>> outstanding;
    std::uint64_t counter = 0;
    for (int i = 0; i < kOperations; ++i) {
      if (i == kOperations / 2) counter += static_cast<std::uint64_t>(slip);
      const Ticket ticket = checker.submitted(kSession);
      switch (random_() % 8) {
        case 0:
          checker.failed(kSession, ticket, StateApplied::kNo);
          break;
        case 1:
          ++counter;
          checker.failed(kSession, ticket, StateApplied::kYes);
          break;
        default:
          outstanding.emplace_back(ticket, ++counter);
      }
      while (outstanding.size() > random_() % 6) {
        const std::size_t any = random_() % outstanding.size();
        const auto [ended, number] = outstanding[any];
        checker.answered(kSession, ended, number, number);
        outstanding.erase(outstanding.begin() + static_cast<std::ptrdiff_t>(any));
      }
    }
    for (const auto& [ended, number] : outstanding) {
      checker.answered(kSession, ended, number, number);
    }
    checker.settled(kSession, counter);
    return checker.finish();
  }

 private:
  std::mt19937_64 random_;
};

TEST(RandomPoolTest, IsInnocentExactlyWhenItKeptItsPromises) {
  const std::uint64_t seed = test::test_seed();
  for (std::uint64_t i = 0; i < 500; ++i) {
    SCOPED_TRACE(seed + i);
    EXPECT_TRUE(RandomPool(seed + i).run(0).clean());
    EXPECT_FALSE(RandomPool(seed + i).run(1).clean());
    EXPECT_FALSE(RandomPool(seed + i).run(-1).clean());
  }
}

}  // namespace
}  // namespace dspool::loadtest
