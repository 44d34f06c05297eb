#include "engine/worker/scheduling.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <thread>

namespace dspool::worker {
namespace {

// Runs `check` in a thread of its own, whose scheduling it may change.
template <typename Check>
void in_a_thread(Check check) {
  std::thread(check).join();
}

TEST(SchedulingTest, AThreadThatRunsBrieflyKeepsItsPolicyAndItsNiceness) {
  in_a_thread([] {
    const int niceness = ::getpriority(PRIO_PROCESS, 0);
    run_soon_and_briefly();
    EXPECT_EQ(::sched_getscheduler(0), SCHED_OTHER | SCHED_RESET_ON_FORK) << "it was not asked";
    EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), niceness);
  });
}

TEST(SchedulingTest, WakesBehindOthersForAWhile) {
  in_a_thread([] {
    {
      const WakesBehindOthers here;
      EXPECT_EQ(::sched_getscheduler(0), SCHED_BATCH);
    }
    EXPECT_EQ(::sched_getscheduler(0), SCHED_OTHER);
  });
}

TEST(SchedulingTest, LeavesAnotherPolicyAlone) {
  in_a_thread([] {
    const sched_param no_priority{};
    ASSERT_EQ(::sched_setscheduler(0, SCHED_IDLE, &no_priority), 0);
    run_soon_and_briefly();
    { const WakesBehindOthers here; }
    EXPECT_EQ(::sched_getscheduler(0), SCHED_IDLE);
  });
}

}  // namespace
}  // namespace dspool::worker
