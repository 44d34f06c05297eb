// Each rule of the checker must refuse a history in which that rule, and only that one, is broken:
// the correct history below, with one fault planted.
#include "tests/support/history_checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace dspool::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Event arrived(std::uint64_t call, std::string session = "a") {
  return {
      .kind = EventKind::kCallArrived, .call = call, .session = std::move(session), .detail = {}};
}
Event ended(std::uint64_t call, std::string detail = "ok", std::uint64_t version = 0,
            std::string session = "a") {
  return {.kind = EventKind::kCallEnded,
          .call = call,
          .version = version,
          .session = std::move(session),
          .detail = std::move(detail)};
}
Event sent(std::uint64_t call, std::uint64_t request, std::uint64_t version,
           std::string session = "a") {
  return {.kind = EventKind::kAttemptSent,
          .call = call,
          .request = request,
          .version = version,
          .session = std::move(session),
          .detail = {}};
}
Event attempt_ended(std::uint64_t call, std::uint64_t request, std::string detail = "ok",
                    std::string session = "a") {
  return {.kind = EventKind::kAttemptEnded,
          .call = call,
          .request = request,
          .session = std::move(session),
          .detail = std::move(detail)};
}
Event commit(std::uint64_t call, std::uint64_t request, std::uint64_t version,
             std::string session = "a") {
  return {.kind = EventKind::kCommit,
          .call = call,
          .request = request,
          .version = version,
          .session = std::move(session),
          .detail = {}};
}
Event session_ended(std::string session = "a") {
  return {.kind = EventKind::kSessionEnded, .session = std::move(session), .detail = {}};
}

Event fenced(std::uint64_t call, std::uint64_t request) {
  return {
      .kind = EventKind::kFenced, .call = call, .request = request, .session = "a", .detail = "ok"};
}
Event session_loaded(std::uint64_t version) {
  return {.kind = EventKind::kSessionLoaded, .version = version, .session = "a", .detail = {}};
}

std::vector<std::string> check(std::vector<Event> events, HistoryEnd end = HistoryEnd::kQuiescent) {
  return check_history({.events = std::move(events)}, end);
}

TEST(HistoryCheckerTest, AcceptsWhatIsAllowed) {
  EXPECT_THAT(check({
                  arrived(1),
                  arrived(2),
                  arrived(3),
                  arrived(4, "b"),
                  // A commit, and another session meanwhile.
                  sent(1, 1, 0),
                  sent(4, 2, 0, "b"),
                  commit(1, 1, 1),
                  attempt_ended(1, 1),
                  ended(1, "ok", 1),
                  attempt_ended(4, 2, "ok", "b"),
                  ended(4, "ok", 0, "b"),
                  // A call that outlives one worker and lacks fields on the next.
                  sent(2, 3, 1),
                  attempt_ended(2, 3, "worker_lost"),
                  sent(2, 4, 1),
                  attempt_ended(2, 4, "need_state"),
                  sent(2, 4, 1),
                  attempt_ended(2, 4),
                  commit(2, 4, 2),
                  ended(2, "ok", 2),
                  // A call that ends before its attempt does; one that waits, and ends waiting.
                  sent(3, 5, 2),
                  arrived(5),
                  arrived(6),
                  ended(3, "deadline"),
                  ended(5, "deadline"),
                  fenced(3, 5),
                  attempt_ended(3, 5, "discarded"),
                  session_loaded(2),
                  sent(6, 6, 2),
                  attempt_ended(6, 6, "error"),
                  ended(6, "exception", 2),
                  // The same name again.
                  session_ended(),
                  arrived(7),
                  sent(7, 7, 0),
                  attempt_ended(7, 7),
                  commit(7, 7, 1),
                  ended(7, "ok", 1),
                  // Anonymous calls do not wait for each other.
                  arrived(8, ""),
                  arrived(9, ""),
                  sent(9, 9, 0, ""),
                  sent(8, 8, 0, ""),
                  attempt_ended(8, 8, "ok", ""),
                  ended(8, "ok", 0, ""),
                  attempt_ended(9, 9, "ok", ""),
                  ended(9, "ok", 0, ""),
              }),
              IsEmpty());
}

TEST(HistoryCheckerTest, AcceptsLooseEndsWhileTheEngineRuns) {
  EXPECT_THAT(check({arrived(1), sent(1, 1, 0)}, HistoryEnd::kRunning), IsEmpty());
}

TEST(HistoryCheckerTest, DoesNotJudgeAHistoryThatLostEvents) {
  EXPECT_THAT(check_history({.events = {}, .dropped = 3}),
              ElementsAre(HasSubstr("first 3 events")));
}

struct Planted {
  std::string_view name;
  std::string_view violation;
  std::vector<Event> events;
};

void PrintTo(const Planted& planted, std::ostream* out) { *out << planted.name; }

std::string name_of(const testing::TestParamInfo<Planted>& info) {
  return std::string(info.param.name);
}

class PlantedViolationTest : public testing::TestWithParam<Planted> {};

TEST_P(PlantedViolationTest, IsTheOnlyOneFound) {
  EXPECT_THAT(check(GetParam().events), ElementsAre(HasSubstr(std::string(GetParam().violation))));
}

INSTANTIATE_TEST_SUITE_P(
    Calls, PlantedViolationTest,
    testing::Values(
        Planted{"NeverEnded", "call 1 of session \"a\" never ended", {arrived(1)}},
        Planted{"EndedTwice", "the call ended a second time", {arrived(1), ended(1), ended(1)}},
        Planted{
            "ArrivedTwice", "the call arrived a second time", {arrived(1), arrived(1), ended(1)}},
        Planted{"NeverArrived", "the call never arrived", {ended(1)}},
        Planted{"OfAnotherSession",
                "the call arrived for session \"a\"",
                {arrived(1), ended(1, "ok", 0, "b")}},
        Planted{
            "AnsweredAtAnotherVersion",
            "answered at version 2 but committed version 1",
            {arrived(1), sent(1, 1, 0), attempt_ended(1, 1), commit(1, 1, 1), ended(1, "ok", 2)}}),
    name_of);

INSTANTIATE_TEST_SUITE_P(Fences, PlantedViolationTest,
                         testing::Values(Planted{"OfACallThatGoesOn",
                                                 "thrown away although its call had not ended",
                                                 {arrived(1), sent(1, 1, 0), fenced(1, 1),
                                                  attempt_ended(1, 1), ended(1)}},
                                         Planted{"OfAnAttemptThatHadEnded",
                                                 "thrown away of an attempt that did not run",
                                                 {arrived(1), sent(1, 1, 0), attempt_ended(1, 1),
                                                  ended(1), fenced(1, 1)}}),
                         name_of);

INSTANTIATE_TEST_SUITE_P(Loads, PlantedViolationTest,
                         testing::Values(Planted{
                             "WithAnotherVersion",
                             "came back with version 2 but had 1",
                             {arrived(1), sent(1, 1, 0), attempt_ended(1, 1), commit(1, 1, 1),
                              ended(1, "ok", 1), session_loaded(2)}}),
                         name_of);

INSTANTIATE_TEST_SUITE_P(
    Attempts, PlantedViolationTest,
    testing::Values(
        Planted{"NeverEnded",
                "attempt 1 of session \"a\" never ended",
                {arrived(1), sent(1, 1, 0), ended(1)}},
        Planted{"EndedTwice",
                "the attempt ended a second time",
                {arrived(1), sent(1, 1, 0), attempt_ended(1, 1), attempt_ended(1, 1), ended(1)}},
        Planted{"NeverSent",
                "an attempt ended that was never sent",
                {arrived(1), attempt_ended(1, 1), ended(1)}},
        Planted{"SentTwice",
                "the attempt was sent a second time",
                {arrived(1), sent(1, 1, 0), sent(1, 1, 0), attempt_ended(1, 1), ended(1)}},
        Planted{"SentAgainAfterItsEnd",
                "sent again after it ended with \"worker_lost\"",
                {arrived(1), sent(1, 1, 0), attempt_ended(1, 1, "worker_lost"), sent(1, 1, 0),
                 attempt_ended(1, 1), ended(1)}},
        Planted{"SentForAnEndedCall",
                "an attempt was sent for a call that had ended",
                {arrived(1), ended(1, "deadline"), sent(1, 1, 0), attempt_ended(1, 1)}},
        Planted{"SentForNoCall", "the call never arrived", {sent(1, 1, 0)}}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Order, PlantedViolationTest,
    testing::Values(Planted{"OverlappingAttempts",
                            "the attempt overlaps attempt 1 of the session",
                            {arrived(1), sent(1, 1, 0), ended(1, "deadline"), arrived(2),
                             sent(2, 2, 0), attempt_ended(1, 1, "discarded"), attempt_ended(2, 2),
                             ended(2)}},
                    Planted{"OvertakenCall",
                            "the attempt was sent ahead of call 1",
                            {arrived(1), arrived(2), sent(2, 2, 0), attempt_ended(2, 2), ended(2),
                             sent(1, 1, 0), attempt_ended(1, 1), ended(1)}},
                    Planted{"EndsOutOfOrder",
                            "the attempt was sent ahead of call 1",
                            {arrived(1), arrived(2), sent(1, 1, 0), attempt_ended(1, 1),
                             sent(2, 2, 0), attempt_ended(2, 2), ended(2), ended(1)}},
                    Planted{"SessionEndedUnderAnAttempt",
                            "the session ended while attempt 1",
                            {arrived(1), sent(1, 1, 0), ended(1, "deadline"), session_ended(),
                             attempt_ended(1, 1, "discarded")}}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Versions, PlantedViolationTest,
    testing::Values(Planted{"Gap",
                            "version 3 was committed on version 1",
                            {arrived(1), sent(1, 1, 0), attempt_ended(1, 1), commit(1, 1, 1),
                             ended(1, "ok", 1), arrived(2), sent(2, 2, 1), attempt_ended(2, 2),
                             commit(2, 2, 3), ended(2, "ok", 3)}},
                    Planted{"Repeated",
                            "version 1 was committed on version 1",
                            {arrived(1), sent(1, 1, 0), attempt_ended(1, 1), commit(1, 1, 1),
                             ended(1, "ok", 1), arrived(2), sent(2, 2, 1), attempt_ended(2, 2),
                             commit(2, 2, 1), ended(2, "ok", 1)}},
                    Planted{"KeptAfterTheSessionEnded",
                            "version 2 was committed on version 0",
                            {arrived(1), sent(1, 1, 0), attempt_ended(1, 1), commit(1, 1, 1),
                             ended(1, "ok", 1), session_ended(), arrived(2), sent(2, 2, 0),
                             attempt_ended(2, 2), commit(2, 2, 2), ended(2, "ok", 2)}},
                    Planted{"StaleAttempt",
                            "sent for version 0 of a session at version 1",
                            {arrived(1), sent(1, 1, 0), attempt_ended(1, 1), commit(1, 1, 1),
                             ended(1, "ok", 1), arrived(2), sent(2, 2, 0), attempt_ended(2, 2),
                             ended(2, "ok", 1)}}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Commits, PlantedViolationTest,
    testing::Values(Planted{"AfterTheCallEndedWithAnError",
                            "the call committed after it had ended",
                            {arrived(1), sent(1, 1, 0), ended(1, "deadline"), attempt_ended(1, 1),
                             commit(1, 1, 1)}},
                    Planted{"OfALostAttempt",
                            "an attempt that ended with \"worker_lost\"",
                            {arrived(1), sent(1, 1, 0), attempt_ended(1, 1, "worker_lost"),
                             commit(1, 1, 1), ended(1, "ok", 1)}},
                    Planted{"OfAnAttemptNeverSent",
                            "a commit came from an attempt never sent",
                            {arrived(1), commit(1, 9, 1), ended(1, "ok", 1)}},
                    Planted{"OfAnotherCallsAttempt",
                            "a commit came from an attempt of call 1",
                            {arrived(1), sent(1, 1, 0), attempt_ended(1, 1), ended(1), arrived(2),
                             commit(2, 1, 1), ended(2, "ok", 1)}},
                    Planted{"OfNoCall", "the call never arrived", {commit(1, 1, 1)}}),
    name_of);

// A commit that breaks one of these rules breaks another with it.
TEST(HistoryCheckerTest, RefusesASecondCommitOfACall) {
  EXPECT_THAT(check({arrived(1), sent(1, 1, 0), attempt_ended(1, 1), commit(1, 1, 1),
                     commit(1, 1, 2), ended(1, "ok", 2)}),
              ElementsAre(HasSubstr("the call committed a second time, after version 1"),
                          HasSubstr("version 2 came from an attempt sent for version 0")));
}

TEST(HistoryCheckerTest, RefusesACommitToAnotherSession) {
  EXPECT_THAT(check({arrived(1), sent(1, 1, 0), attempt_ended(1, 1), commit(1, 1, 1, "b"),
                     ended(1, "ok", 1)}),
              ElementsAre(HasSubstr("the call arrived for session \"a\""),
                          HasSubstr("an attempt of session \"a\"")));
}

}  // namespace
}  // namespace dspool::test
