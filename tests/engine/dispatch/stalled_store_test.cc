// A durable store whose write hangs: who waits for it, who does not, and how the session goes on
// when the store tells at last. The store's threads are the engine's own, time is the test's.
#include <gmock/gmock.h>

#include <mutex>
#include <thread>

#include "engine/dispatch/archivist.h"
#include "tests/engine/dispatch/stepped_pool.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;

class StalledStoreTest : public testing::Test {
 protected:
  StalledStoreTest() {
    archivist_.run(
        [this](std::span<Errand* const> told) {
          const std::lock_guard lock(mutex_);
          for (Errand* errand : told) pool_.dispatcher().archived(*errand, pool_.now());
        },
        [] { return std::nullopt; });
  }
  void TearDown() override {
    store_.let_go();
    archivist_.finish();
  }

  Call& call(std::string_view session, Durability durability,
             milliseconds timeout = std::chrono::hours(1)) {
    const std::lock_guard lock(mutex_);
    pool_.durability = durability;
    return pool_.call(session, CallKind::kExecute, timeout);
  }
  void answer(const Call& call, std::int64_t value) {
    const std::lock_guard lock(mutex_);
    pool_.answer(call, value);
  }
  bool has_ended(const Call& call) {
    const std::lock_guard lock(mutex_);
    return call.result.has_value();
  }
  std::uint32_t in_flight() {
    const std::lock_guard lock(mutex_);
    return pool_.dispatcher().in_flight();
  }
  // The session "s" has version 1; a call that makes the next has its answer, and the store's
  // write of that hangs.
  Call& hang_in_second_commit() {
    const Call& first = call("s", Durability::kLocal);
    answer(first, 1);
    while (!has_ended(first)) std::this_thread::yield();
    store_.hang_writes();
    Call& second = call("s", Durability::kLocal, kTimeout);
    answer(second, 2);
    store_.wait_until_one_hangs();
    return second;
  }
  void reach_deadline() {
    const std::lock_guard lock(mutex_);
    pool_.advance(kTimeout + milliseconds(1));
  }
  // The session's next call is served once the store has told, on the version that it told.
  void expect_to_go_on_from(std::uint64_t version) {
    const Call& next = call("s", Durability::kLocal);
    while (in_flight() == 0) std::this_thread::yield();
    answer(next, 3);
    while (!has_ended(next)) std::this_thread::yield();
    ASSERT_TRUE(next.result->has_value()) << next.result->error().describe();
    EXPECT_EQ((*next.result)->version, version + 1);
  }

  static constexpr milliseconds kTimeout{100};

  ipc::StateSegment segment_{std::size_t{64} << 20};
  test::FragileStore store_;
  telemetry::Log log_{LogLevel::kOff};
  ErrandRunner runner_{store_, *store_.own(), segment_, log_};
  telemetry::Metrics metrics_;
  Archivist archivist_{runner_, milliseconds(0), log_, metrics_};
  std::mutex mutex_;  // guards what follows
  SteppedPool pool_{segment_, &archivist_};
};

TEST_F(StalledStoreTest, TheCallEndsAtItsDeadlineAndNobodyKnows) {
  const Call& stalled = hang_in_second_commit();
  EXPECT_FALSE(has_ended(stalled));
  reach_deadline();
  ASSERT_TRUE(has_ended(stalled));
  ASSERT_FALSE(stalled.result->has_value());
  EXPECT_EQ(stalled.result->error().category, ErrorCategory::kTimeout);
  EXPECT_EQ(stalled.result->error().code, "deadline_exceeded");
  EXPECT_EQ(stalled.result->error().state_applied, StateApplied::kUnknown);
}

TEST_F(StalledStoreTest, OtherSessionsInMemoryGoOn) {
  const Call& stalled = hang_in_second_commit();
  for (std::uint64_t version = 1; version <= 3; ++version) {
    const Call& other = call("other", Durability::kMemory);
    answer(other, 5);
    ASSERT_TRUE(has_ended(other));
    ASSERT_TRUE(other.result->has_value());
    EXPECT_EQ((*other.result)->version, version);
  }
  EXPECT_FALSE(has_ended(stalled));
}

TEST_F(StalledStoreTest, TheSessionWaitsUntilTheStoreHasTold) {
  hang_in_second_commit();
  reach_deadline();
  const Call& next = call("s", Durability::kLocal, kTimeout);
  EXPECT_EQ(in_flight(), 0U);
  reach_deadline();
  ASSERT_TRUE(has_ended(next));
  EXPECT_EQ(next.result->error().code, "deadline_exceeded");
  EXPECT_EQ(next.result->error().state_applied, StateApplied::kNo);
}

TEST_F(StalledStoreTest, AfterAWriteThatCameThroughItGoesOnWithThat) {
  hang_in_second_commit();
  reach_deadline();
  store_.let_go();
  expect_to_go_on_from(2);
}

TEST_F(StalledStoreTest, AfterAWriteThatFailedAndHadHappenedItGoesOnWithThat) {
  hang_in_second_commit();
  reach_deadline();
  store_.fail_next(true);
  store_.let_go();
  expect_to_go_on_from(2);
}

TEST_F(StalledStoreTest, AfterAWriteThatFailedAndHadNotHappenedItGoesOnWithoutIt) {
  hang_in_second_commit();
  reach_deadline();
  store_.fail_next(false);
  store_.let_go();
  expect_to_go_on_from(1);
}

}  // namespace
}  // namespace dspool::dispatch
