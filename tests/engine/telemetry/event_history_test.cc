#include "engine/telemetry/event_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace dspool::telemetry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

void record(EventHistory& history, std::uint64_t call, std::string_view session = "a",
            std::string_view detail = {}) {
  history.record(session, detail, [call](EventFacts& facts) {
    facts = {.kind = EventKind::kCallArrived, .call = call};
  });
}

std::vector<std::uint64_t> calls_of(const History& history) {
  std::vector<std::uint64_t> calls;
  for (const Event& each : history.events) calls.push_back(each.call);
  return calls;
}

TEST(EventHistoryTest, KeepsNothingWithoutCapacity) {
  EventHistory history(0);
  EXPECT_FALSE(history.enabled());
  EXPECT_THAT(history.snapshot().events, IsEmpty());
  EXPECT_EQ(history.snapshot().dropped, 0U);
}

TEST(EventHistoryTest, KeepsTheOrder) {
  EventHistory history(3);
  EXPECT_TRUE(history.enabled());
  record(history, 1);
  record(history, 2);
  EXPECT_THAT(calls_of(history.snapshot()), ElementsAre(1, 2));
}

TEST(EventHistoryTest, DropsTheOldestAndSaysHowMany) {
  EventHistory history(3);
  for (std::uint64_t call = 1; call <= 3; ++call) record(history, call);
  EXPECT_EQ(history.snapshot().dropped, 0U);
  for (std::uint64_t call = 4; call <= 8; ++call) record(history, call);
  const History snapshot = history.snapshot();
  EXPECT_THAT(calls_of(snapshot), ElementsAre(6, 7, 8));
  EXPECT_EQ(snapshot.dropped, 5U);
}

TEST(EventHistoryTest, KeepsTextsOfAnyLength) {
  EventHistory history(2);
  for (const std::size_t session_bytes :
       std::initializer_list<std::size_t>{0, 1, 3, 4, 7, 8, 15, 16, 17, 32, 33, 64, 65, 128}) {
    for (const std::size_t detail_bytes :
         std::initializer_list<std::size_t>{0, 2, 5, 9, 16, 20, 31, 48, 64, 300}) {
      std::string session(session_bytes, 's');
      std::string detail(detail_bytes, 'd');
      if (!session.empty()) session.front() = '(';
      if (!detail.empty()) detail.back() = ')';
      record(history, 1, session, detail);
      session.append("gone");
      detail.append("gone");
      const Event kept = history.snapshot().events.back();
      EXPECT_EQ(kept.session + "gone", session);
      EXPECT_EQ(kept.detail + "gone", detail);
    }
  }
}

// A call of session "s" whose attempt is sent at `sent_ns`, and which ends at 20 with version 4.
void record_call(EventHistory& history, std::int64_t sent_ns) {
  history.record("s", {}, [](EventFacts& facts) {
    facts = {.kind = EventKind::kCallArrived, .time_ns = 10, .call = 7, .version = 3};
  });
  const EventFacts sent{.kind = EventKind::kAttemptSent,
                        .worker = 1,
                        .attempt = 2,
                        .time_ns = sent_ns,
                        .call = 7,
                        .request = 9,
                        .version = 3,
                        .epoch = 5};
  if (!history.follow_by_sent(sent)) {
    history.record("s", {}, [&](EventFacts& facts) { facts = sent; });
  }
  EventFacts ended = sent;
  ended.kind = EventKind::kAttemptEnded;
  ended.time_ns = 20;
  history.record("s", "ok", [&](EventFacts& facts) { facts = ended; });
  EXPECT_TRUE(history.follow_by_commit(
      {.kind = EventKind::kCommit, .time_ns = 20, .call = 7, .request = 9, .version = 4}));
  EXPECT_TRUE(history.follow_by_end(
      {.kind = EventKind::kCallEnded, .time_ns = 20, .call = 7, .version = 4}));
}

std::vector<std::string> lines_of(const History& history) {
  std::vector<std::string> lines;
  for (const Event& each : history.events) lines.push_back(each.to_json());
  return lines;
}

TEST(EventHistoryTest, TellsWhatFollowedFromAnEventAsEventsOfTheirOwn) {
  EventHistory together(100);
  record_call(together, 10);
  EXPECT_THAT(
      lines_of(together.snapshot()),
      ElementsAre(
          R"({"kind":"call_arrived","time_ns":10,"call":7,"request":0,"version":3,"epoch":0,)"
          R"("worker":0,"attempt":0,"session":"s","detail":""})",
          R"({"kind":"attempt_sent","time_ns":10,"call":7,"request":9,"version":3,"epoch":5,)"
          R"("worker":1,"attempt":2,"session":"s","detail":""})",
          R"({"kind":"attempt_ended","time_ns":20,"call":7,"request":9,"version":3,"epoch":5,)"
          R"("worker":1,"attempt":2,"session":"s","detail":"ok"})",
          R"({"kind":"commit","time_ns":20,"call":7,"request":9,"version":4,"epoch":0,)"
          R"("worker":0,"attempt":0,"session":"s","detail":""})",
          R"({"kind":"call_ended","time_ns":20,"call":7,"request":0,"version":4,"epoch":0,)"
          R"("worker":0,"attempt":0,"session":"s","detail":"ok"})"));
  EXPECT_EQ(together.snapshot().dropped, 0U);
}

TEST(EventHistoryTest, TellsTheLastEventsAlsoOfThoseThatLieTogether) {
  EventHistory history(2);
  record_call(history, 10);
  EXPECT_THAT(lines_of(history.snapshot()), testing::SizeIs(2));
  EXPECT_EQ(history.snapshot().events.back().kind, EventKind::kCallEnded);
  EXPECT_EQ(history.snapshot().events.front().kind, EventKind::kCommit);
  EXPECT_EQ(history.snapshot().dropped, 3U);
}

TEST(EventHistoryTest, AttemptsThatAreSentLaterAreRecordedApart) {
  EventHistory history(100);
  record_call(history, 15);
  const History snapshot = history.snapshot();
  ASSERT_THAT(snapshot.events, testing::SizeIs(5));
  EXPECT_EQ(snapshot.events[0].time_ns, 10);
  EXPECT_EQ(snapshot.events[1].time_ns, 15);
}

// Whatever differs, it is another call's, or of another moment.
TEST(EventHistoryTest, FollowsNothingButTheEventThatItBelongsTo) {
  EventHistory history(100);
  const auto arrive = [&] {
    history.record("s", {}, [](EventFacts& facts) {
      facts = {.kind = EventKind::kCallArrived, .time_ns = 10, .call = 7, .version = 3};
    });
  };
  const auto end_attempt = [&] {
    history.record("s", "ok", [](EventFacts& facts) {
      facts = {
          .kind = EventKind::kAttemptEnded, .time_ns = 10, .call = 7, .request = 9, .version = 3};
    });
  };
  const EventFacts sent{.time_ns = 10, .call = 7, .request = 9, .version = 3};
  EventFacts next = sent;
  next.version = 4;
  EXPECT_FALSE(history.follow_by_sent(sent));
  EXPECT_FALSE(history.follow_by_commit(next));
  EXPECT_FALSE(history.follow_by_end(sent));
  arrive();
  EXPECT_FALSE(history.follow_by_sent(next));
  EXPECT_FALSE(history.follow_by_commit(next));
  EXPECT_FALSE(history.follow_by_end(sent));
  EventFacts other = sent;
  other.call = 8;
  EXPECT_FALSE(history.follow_by_sent(other));
  other = sent;
  other.time_ns = 11;
  EXPECT_FALSE(history.follow_by_sent(other));
  end_attempt();
  EXPECT_FALSE(history.follow_by_sent(sent));
  EXPECT_FALSE(history.follow_by_commit(sent)) << "of the version before";
  EventFacts gap = next;
  gap.version = 5;
  EXPECT_FALSE(history.follow_by_commit(gap));
  EXPECT_FALSE(history.follow_by_end(next)) << "nothing was committed";
  EventFacts later = sent;
  later.time_ns = 11;
  EXPECT_FALSE(history.follow_by_end(later));
  EXPECT_TRUE(history.follow_by_end(sent));
  EXPECT_FALSE(history.follow_by_end(sent)) << "twice";
  EXPECT_FALSE(history.follow_by_commit(next)) << "after its call";
  EXPECT_EQ(history.snapshot().events.size(), 3U);
}

TEST(EventHistoryTest, TakesEventsFromAllThreads) {
  constexpr std::uint64_t kThreads = 4;
  constexpr std::uint64_t kEvents = 1'000;
  EventHistory history(100);
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (std::uint64_t n = 0; n < kEvents; ++n) record(history, n);
      });
    }
    EXPECT_LE(history.snapshot().events.size(), 100U);
  }
  const History snapshot = history.snapshot();
  EXPECT_EQ(snapshot.events.size() + snapshot.dropped, kThreads * kEvents);
}

}  // namespace
}  // namespace dspool::telemetry
