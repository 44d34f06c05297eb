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
