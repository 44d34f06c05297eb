// Kills one side at every step of the channel's protocols, each time that it gets there, and looks
// at what the other side is left with.
#include "ipc/kill_point.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/ipc/conversation.h"
#include "tests/support/held_resources.h"

namespace dspool::ipc {
namespace {

// What became of the request that was sent last.
enum class Last { kUnanswered, kAnswered, kEither };

struct Step {
  const char* point;
  Last last;
};

void PrintTo(const Step& step, std::ostream* stream) { *stream << step.point; }

constexpr std::array kStepsOfAWorker{
    Step{"attach.mapped_a", Last::kUnanswered}, Step{"attach.mapped_b", Last::kUnanswered},
    Step{"attach.header_written", Last::kUnanswered}, Step{"pop.peeked", Last::kEither},
    Step{"push.padded", Last::kUnanswered}, Step{"push.reserved", Last::kUnanswered},
    Step{"push.body_written", Last::kUnanswered}, Step{"push.header_written", Last::kUnanswered},
    Step{"push.committed", Last::kUnanswered}, Step{"pop.copied", Last::kUnanswered},
    Step{"pop.released", Last::kUnanswered}, Step{"slab.mapped", Last::kUnanswered},
    Step{"claim.published", Last::kUnanswered}, Step{"bulk.published", Last::kUnanswered},
    Step{"memfd.handed_over", Last::kUnanswered},
    // a record, or the body of one that will be
    Step{"push.published", Last::kEither}, Step{"bell.rung", Last::kAnswered},
    Step{"sleep.begun", Last::kEither}, Step{"sleep.announced", Last::kEither},
    Step{"sleep.waiting", Last::kEither}, Step{"sleep.ended", Last::kEither}};

constexpr std::array kStepsOfAnEngine{
    "push.padded",    "push.reserved", "push.body_written", "push.header_written", "push.committed",
    "push.published", "doorbell.due",  "doorbell.bumped",   "doorbell.rung",       "bell.announced",
    "pop.peeked",     "pop.copied",    "pop.released",      "recall.published"};

std::vector<std::string> kill_at(const std::string& point, int pass) {
  return {"DSPOOL_KILL_AT=" + point + ":" + std::to_string(pass)};
}

// Converses with a worker that is killed at `step`; false: it did not get there `pass` times.
bool kill_worker(const Step& step, int pass) {
  const auto payloads = PayloadStore::create(1 << 20).value();
  const auto engine =
      EngineChannel::create(static_cast<std::uint64_t>(pass), Conversation::sizes(*payloads))
          .value();
  Conversation conversation(*engine, *payloads);
  conversation.begin();
  const auto worker = spawn({.program = beside_this_program("killable_peer"),
                             .arguments = {},
                             .environment = kill_at(step.point, pass),
                             .descriptors = engine->child_descriptors()});
  engine->close_child_ends();
  conversation.go_on(*worker);
  const ExitStatus end = wait_for_end(*worker);
  EXPECT_EQ(engine->violation(), "");
  EXPECT_FALSE(engine->has_records()) << "what was published was received";
  EXPECT_TRUE(conversation.all_whole());
  if (end.describe() == "exit status 0") {
    EXPECT_EQ(conversation.answered(), Conversation::kRequests);
    return false;
  }
  EXPECT_EQ(end.describe(), "killed by SIGKILL");
  const std::uint64_t unanswered = conversation.sent() - conversation.answered();
  EXPECT_LE(unanswered, 1U);
  if (step.last != Last::kEither) {
    EXPECT_EQ(unanswered, step.last == Last::kUnanswered ? 1U : 0U);
  }
  return true;
}

// Lets an engine be killed at `point`; false: it did not get there `pass` times.
bool kill_engine(const char* point, int pass) {
  const auto engine = spawn({.program = beside_this_program("killable_engine"),
                             .arguments = {},
                             .environment = kill_at(point, pass),
                             .descriptors = {}});
  // Not open: it had ended before we looked.
  const FileDescriptor worker = watch(read_text(engine->standard_output(), true));
  const std::string end = wait_for_end(*engine).describe();
  EXPECT_TRUE(!worker.is_open() || readable(worker.get())) << "it outlived its engine";
  if (end == "exit status 0") return false;
  EXPECT_EQ(end, "killed by SIGKILL");
  return true;
}

constexpr Step kNowhere{"nowhere", Last::kAnswered};

class WorkerKillPointTest : public testing::TestWithParam<Step> {};
class EngineKillPointTest : public testing::TestWithParam<const char*> {};

TEST_P(WorkerKillPointTest, LeavesWholeAnswersAndNothingElse) {
  const test::HeldResources before = test::held_resources();
  int passes = 0;
  while (kill_worker(GetParam(), passes + 1)) {
    ++passes;
    EXPECT_EQ(test::held_resources(), before);
  }
  EXPECT_GT(passes, 0) << "no worker gets there";
  EXPECT_FALSE(kill_worker(kNowhere, 1)) << "the next one is served to the end";
}

TEST_P(EngineKillPointTest, TakesItsWorkerAlong) {
  int passes = 0;
  while (kill_engine(GetParam(), passes + 1)) ++passes;
  EXPECT_GT(passes, 0) << "no engine gets there";
}

// Those of commits are for tests/chaos/engine_death_test.cc.
TEST(KillPointTest, EachIsAStepOfAWorkerOrOfAnEngine) {
  for (const std::string_view point : kKillPoints) {
    if (point.starts_with("commit.")) continue;
    EXPECT_TRUE(std::ranges::count(kStepsOfAWorker, point, &Step::point) == 1 ||
                std::ranges::count(kStepsOfAnEngine, point) == 1)
        << point;
  }
}

// "push.published" -> "push_published"
std::string name_of(std::string point) {
  std::ranges::replace(point, '.', '_');
  return point;
}

INSTANTIATE_TEST_SUITE_P(At, WorkerKillPointTest, testing::ValuesIn(kStepsOfAWorker),
                         [](const auto& step) { return name_of(step.param.point); });
INSTANTIATE_TEST_SUITE_P(At, EngineKillPointTest, testing::ValuesIn(kStepsOfAnEngine),
                         [](const auto& point) { return name_of(point.param); });

}  // namespace
}  // namespace dspool::ipc
