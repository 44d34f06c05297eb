// Sessions end in four ways, and all of them leave the same: nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "tests/engine/dispatch/stepped_pool.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr milliseconds kTtl{1'000};
constexpr milliseconds kLongAfter{3'000};

class SessionEndTest : public testing::Test {
 protected:
  SessionEndTest() { pool_.ttl = kTtl; }

  SteppedCall& call(std::string_view session, CallKind kind = CallKind::kExecute,
                    Durability durability = Durability::kMemory) {
    pool_.durability = durability;
    return pool_.call(session, kind);
  }
  void execute(std::string_view session, Durability durability = Durability::kMemory) {
    call(session, CallKind::kExecute, durability);
    pool_.answer_all();
  }
  // What ended the sessions that ended, in the order in which they did: "id: end".
  std::vector<std::string> ends() {
    std::vector<std::string> ends;
    for (const Event& event : pool_.history().events) {
      if (event.kind == EventKind::kSessionEnded) {
        ends.push_back(event.session + ": " + event.detail);
      }
    }
    return ends;
  }
  void expect_nothing_left() {
    EXPECT_EQ(pool_.sessions().size(), 0U);
    EXPECT_THAT(pool_.sessions().list({}, 10), IsEmpty());
    EXPECT_EQ(segment_.used_bytes(), 0U);
    EXPECT_EQ(pool_.dispatcher().waiting_calls(), 0U);
    EXPECT_EQ(pool_.dispatcher().in_flight(), 0U);
  }
  std::uint64_t ended_by(SessionEnd end) { return pool_.metrics().ended_by(end).value(); }
  void stop() {
    pool_.dispatcher().stop(pool_.now());
    while (pool_.dispatcher().end_sessions(pool_.now())) {
    }
  }

  ipc::StateSegment segment_{std::size_t{64} << 20};
  SteppedArchive archive_{segment_};
  SteppedPool pool_{segment_, &archive_};
};

TEST_F(SessionEndTest, IsToldWithWhatCausedItAndLeavesNothing) {
  execute("expired");
  pool_.advance(kLongAfter);
  EXPECT_TRUE(pool_.tombstones().has("expired", pool_.now()));
  expect_nothing_left();

  execute("asked");
  EXPECT_EQ(call("asked", CallKind::kEndSession).code(), "ok");
  expect_nothing_left();

  execute({});
  expect_nothing_left();

  execute("stopped");
  stop();
  expect_nothing_left();

  EXPECT_THAT(ends(),
              ElementsAre("expired: expired", "asked: asked", ": temporary", "stopped: stopped"));
  for (const SessionEnd end :
       {SessionEnd::kAsked, SessionEnd::kExpired, SessionEnd::kTemporary, SessionEnd::kStopped}) {
    EXPECT_EQ(ended_by(end), 1U) << to_string(end);
  }
  EXPECT_EQ(pool_.tombstones().size(), 1U) << "of what expired, and of nothing else";
}

TEST_F(SessionEndTest, IsOneWhereTheSessionIsReplaced) {
  execute("a");
  EXPECT_EQ(call("a", CallKind::kReplaceSession).code(), "ok");
  EXPECT_THAT(ends(), ElementsAre("a: asked"));
  EXPECT_EQ(pool_.sessions().size(), 1U);
  EXPECT_EQ(segment_.used_bytes(), 0U);
}

TEST_F(SessionEndTest, ComesAfterTheDurableStoreHasForgotten) {
  execute("a", Durability::kLocal);
  archive_.carry_out_all(pool_);
  ASSERT_EQ(archive_.store().sessions(), 1U);
  const auto& end = call("a", CallKind::kEndSession);
  EXPECT_EQ(end.code(), "under way");
  EXPECT_THAT(ends(), IsEmpty());
  archive_.carry_out_all(pool_);
  EXPECT_EQ(end.code(), "ok");
  EXPECT_EQ(archive_.store().sessions(), 0U);
  EXPECT_THAT(ends(), ElementsAre("a: asked"));
  expect_nothing_left();
}

// A session that the durable store has expires when it is gone from there. Calls that arrive
// meanwhile are told, up to one that begins it anew.
TEST_F(SessionEndTest, IsToldOnceWhateverArrivesMeanwhile) {
  execute("a", Durability::kLocal);
  archive_.carry_out_all(pool_);
  pool_.advance(kLongAfter);
  ASSERT_EQ(archive_.under_way(), 1U);
  const auto& late = call("a");
  const auto& anew = call("a", CallKind::kReplaceSession);
  const auto& next = call("a");
  EXPECT_THAT(ends(), IsEmpty());
  EXPECT_EQ(ended_by(SessionEnd::kExpired), 0U);
  archive_.carry_out_all(pool_);
  pool_.answer_all();
  EXPECT_EQ(late.code(), "session_expired");
  EXPECT_EQ(anew.code(), "ok");
  EXPECT_EQ(next.code(), "ok");
  EXPECT_THAT(ends(), ElementsAre("a: expired"));
  EXPECT_EQ(ended_by(SessionEnd::kExpired), 1U);
  EXPECT_EQ(ended_by(SessionEnd::kAsked), 0U) << "there was nothing left to replace";
  EXPECT_FALSE(pool_.tombstones().has("a", pool_.now()));
}

TEST_F(SessionEndTest, IsToldOnceWhereTheSessionIsCreatedAnewMeanwhile) {
  execute("a", Durability::kLocal);
  archive_.carry_out_all(pool_);
  pool_.advance(kLongAfter);
  ASSERT_EQ(archive_.under_way(), 1U);
  const auto& anew = call("a", CallKind::kVisit, Durability::kLocal);
  archive_.carry_out_all(pool_);
  EXPECT_EQ(anew.code(), "ok");
  EXPECT_FALSE(anew.found_session);
  EXPECT_EQ(archive_.store().sessions(), 1U);
  EXPECT_THAT(ends(), ElementsAre("a: expired"));
}

TEST_F(SessionEndTest, IsNoneOfWhatNeverExisted) {
  SteppedCall visit;
  pool_.prepare(visit, "never", CallKind::kVisit);
  visit.creates_session = false;
  ASSERT_TRUE(pool_.dispatcher().arrive(visit, pool_.now()));
  EXPECT_EQ(visit.code(), "session_not_found");
  pool_.advance(kLongAfter);
  expect_nothing_left();
  EXPECT_THAT(ends(), IsEmpty());
  EXPECT_FALSE(pool_.tombstones().has("never", pool_.now()));
}

TEST_F(SessionEndTest, IsNotNeededWhereACallIsRefusedThatWouldHaveMadeOne) {
  session::Delta update;
  SteppedCall refused;
  refused.update = &update;
  refused.if_version = 7;
  pool_.prepare(refused, "never was", CallKind::kUpdateFields);
  ASSERT_TRUE(pool_.dispatcher().arrive(refused, pool_.now()));
  EXPECT_EQ(refused.code(), "version_conflict");
  expect_nothing_left();
  EXPECT_THAT(ends(), IsEmpty());
}

TEST_F(SessionEndTest, OfATemporarySessionWaitsForItsAttempt) {
  SteppedCall& cancelled = call({});
  pool_.dispatcher().cancel(cancelled, pool_.now());
  EXPECT_EQ(cancelled.code(), "cancelled");
  EXPECT_THAT(ends(), IsEmpty());
  pool_.answer_all();
  EXPECT_THAT(ends(), ElementsAre(": temporary"));
}

TEST_F(SessionEndTest, DoesNotComeToADurableSessionWithThePool) {
  execute("local", Durability::kLocal);
  archive_.carry_out_all(pool_);
  execute("memory");
  stop();
  expect_nothing_left();
  EXPECT_THAT(ends(), ElementsAre("memory: stopped"));
  EXPECT_EQ(archive_.store().sessions(), 1U);
}

TEST_F(SessionEndTest, OfManyWithThePoolIsDoneSomeAtATime) {
  constexpr std::size_t kMany = 200;
  constexpr std::size_t kSomeAtMost = 64;
  for (std::size_t i = 0; i < kMany; ++i) execute(std::to_string(i));
  pool_.dispatcher().stop(pool_.now());
  std::size_t left = kMany;
  bool more = true;
  while (more) {
    more = pool_.dispatcher().end_sessions(pool_.now());
    EXPECT_LE(left - pool_.sessions().size(), kSomeAtMost);
    ASSERT_TRUE(!more || pool_.sessions().size() < left) << "it does not come to an end";
    left = pool_.sessions().size();
  }
  expect_nothing_left();
  EXPECT_EQ(ended_by(SessionEnd::kStopped), kMany);
}

}  // namespace
}  // namespace dspool::dispatch
