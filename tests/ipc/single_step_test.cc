// Kills a worker after each machine instruction between two of its sleeps. Whatever the compiler
// made of the ring and the doorbell, there is one instruction at which a whole answer comes to be.
#include <gtest/gtest.h>

#include <optional>

#include "tests/ipc/stepped_peer.h"
#include "tests/support/held_resources.h"

namespace dspool::ipc {
namespace {

using Received = EngineChannel::Received;

constexpr std::uint64_t kRequest = 3;

struct Left {
  bool ended = false;     // before it was killed
  bool answered = false;  // the request was
};

// Steps until `steps` are done. A worker that goes to sleep is woken in vain the first time, and by
// another request the second time, so that it never really waits.
void step(SteppedPeer& peer, EngineChannel& engine, int steps) {
  int sleeps = 0;
  while (steps-- > 0 && peer.step()) {
    if (!engine.publish()) continue;
    EXPECT_TRUE(++sleeps == 1 || push(engine, kRequest + 1, {}));
    publish_and_ring(engine);
  }
}

Left kill_after(int steps) {
  const auto engine = EngineChannel::create(1, kSmallestRings).value();
  SteppedPeer peer(*engine);
  const std::vector<std::byte> sent(200, std::byte{42});
  EXPECT_TRUE(push(*engine, kRequest, sent));
  publish_and_ring(*engine);
  step(peer, *engine, steps);
  Left left{.ended = readable(peer.pidfd(), 0)};
  peer.kill();
  EXPECT_TRUE(readable(peer.pidfd())) << "its death is seen";

  RecordHeader header{};
  std::vector<std::byte> body;
  left.answered = engine->receive(header, body) == Received::kRecord;
  EXPECT_TRUE(!left.answered || (header.request_id == kRequest && body == sent)) << "torn";
  while (push(*engine, kRequest, sent)) continue;  // until its cursor is looked at
  EXPECT_EQ(engine->receive(header, body), Received::kNothing) << engine->violation();
  EXPECT_FALSE(engine->has_records());
  return left;
}

// Every so-many-th instruction: the tests share the work.
constexpr int kShares = 4;

class SingleStepTest : public testing::TestWithParam<int> {};

TEST_P(SingleStepTest, AWorkerKilledAfterAnyInstructionLeavesAWholeAnswerOrNone) {
  if (const char* why = SteppedPeer::refused()) GTEST_SKIP() << why;
  const test::HeldResources before = test::held_resources();
  std::optional<int> answered_at;
  int steps = GetParam();
  for (bool ended = false; !ended && !HasFailure(); steps += kShares) {
    SCOPED_TRACE("killed after step " + std::to_string(steps));
    const Left left = kill_after(steps);
    ended = left.ended;
    if (left.answered && !answered_at) answered_at = steps;
    EXPECT_EQ(left.answered, answered_at.has_value()) << "an answer that is taken back";
    EXPECT_EQ(test::held_resources(), before);
  }
  EXPECT_TRUE(answered_at);
  std::cout << steps << " instructions; the answer is there from " << answered_at.value_or(0)
            << '\n';
}

INSTANTIATE_TEST_SUITE_P(Share, SingleStepTest, testing::Range(0, kShares));

}  // namespace
}  // namespace dspool::ipc
