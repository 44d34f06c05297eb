#include "bench/budgets.h"

#include <gmock/gmock.h>

#include <sstream>
#include <string>

namespace dspool::bench {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string printed(const Results& results) {
  std::ostringstream out;
  print_budgets(out, results);
  return out.str();
}

constexpr char kForked[] = "BM_WorkerStart/forkserver";
constexpr char kSpawned[] = "BM_WorkerStart/spawn";

TEST(BudgetsTest, AreMetOrMissed) {
  EXPECT_THAT(printed({{"BM_Breaker_Permit/threads:16", {.cpu_ns = 40}}}),
              AllOf(HasSubstr("a breaker's permit"), HasSubstr("<= 50  met")));
  EXPECT_THAT(printed({{"BM_Breaker_Permit/threads:16", {.cpu_ns = 60}}}), HasSubstr("MISSED"));
}

TEST(BudgetsTest, NothingIsSaidOfWhatWasNotRun) {
  EXPECT_THAT(printed({}), IsEmpty());
  EXPECT_THAT(printed({{kForked, {.p50_us = 100, .private_kib = 100}}}), IsEmpty());
}

TEST(BudgetsTest, AFigureThatIsMissingIsABudgetMissed) {
  const std::string text =
      printed({{kForked, {.p50_us = 100}}, {kSpawned, {.p50_us = 100'000, .private_kib = 100}}});
  EXPECT_THAT(text, AllOf(HasSubstr("a worker's start, forked"), HasSubstr("met")));
  EXPECT_THAT(text, HasSubstr("MISSED: BM_WorkerStart/forkserver has not measured it"));
  EXPECT_THAT(printed({{kForked, {.p50_us = 100, .private_kib = 100}},
                       {kSpawned, {.p50_us = 100'000, .private_kib = 1'000}}}),
              Not(HasSubstr("MISSED")));
}

}  // namespace
}  // namespace dspool::bench
