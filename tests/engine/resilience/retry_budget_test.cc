#include "engine/resilience/retry_budget.h"

#include <gtest/gtest.h>

namespace dspool::resilience {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kBudgetStart{std::chrono::hours(1)};

// Every call fails, and wants to be tried again as often as it may. How many retries there were.
int outage(RetryBudget& budget, int calls, std::chrono::nanoseconds between, int max_retries) {
  int retries = 0;
  TimePoint now = kBudgetStart;
  for (int call = 0; call < calls; ++call, now += between) {
    budget.note_call(now);
    for (int i = 0; i < max_retries && budget.try_take(now); ++i) ++retries;
  }
  return retries;
}

TEST(RetryBudgetTest, AnOutageIsNotMultiplied) {
  RetryBudget budget({});
  EXPECT_LE(outage(budget, 100'000, milliseconds(1), 10), 20'000 + 30);
}

TEST(RetryBudgetTest, IsUsedUp) {
  RetryBudget budget({});
  EXPECT_GE(outage(budget, 100'000, milliseconds(1), 10), 18'000);
}

TEST(RetryBudgetTest, AFewASecondAreAllowedWhereLittleIsGoingOn) {
  RetryBudget budget({});
  EXPECT_EQ(outage(budget, 30, milliseconds(1), 1), 30);
  TimePoint now = kBudgetStart + seconds(1);
  EXPECT_FALSE(budget.try_take(now)) << "3 a second are 30 in ten seconds";
  now += RetryBudget::kWindow;
  EXPECT_TRUE(budget.try_take(now));
}

TEST(RetryBudgetTest, OfNothingAllowsNothing) {
  RetryBudget budget({.budget_percent = 0, .budget_per_second = 0});
  EXPECT_EQ(outage(budget, 1'000, milliseconds(1), 10), 0);
}

TEST(RetryBudgetTest, IsWhicheverIsMore) {
  RetryBudget budget({.budget_percent = 50, .budget_per_second = 1});
  EXPECT_EQ(outage(budget, 10, milliseconds(1), 10), 10);
  RetryBudget busy({.budget_percent = 50, .budget_per_second = 1});
  EXPECT_EQ(outage(busy, 100, milliseconds(1), 10), 50);
}

}  // namespace
}  // namespace dspool::resilience
