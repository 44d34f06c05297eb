// More is asked of a pool than it can do.
#include <gtest/gtest.h>

#include "ipc/state_segment.h"
#include "tests/engine/dispatch/stepped_pool.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kOneCommand{20};

class OverloadTest : public testing::Test {
 protected:
  // The worker answers one call every 20 ms, while calls of new sessions come so often. Of those
  // that were refused the longest time that it took.
  milliseconds load(milliseconds between, milliseconds during) {
    milliseconds latest_refusal{0};
    milliseconds next_answer = kOneCommand;
    for (milliseconds at{0}; at < during; at += milliseconds(1)) {
      if (at % between == milliseconds(0)) {
        open_.push_back(&pool_.call("s" + std::to_string(++sessions_)));
      }
      if (at >= next_answer) {
        next_answer += kOneCommand;
        for (SteppedCall* call : open_) {
          if (call->request_id == 0) continue;
          pool_.answer(*call, 1, kOneCommand);
          ++answered_;
          break;
        }
      }
      pool_.advance(milliseconds(1));
      std::erase_if(open_, [&](SteppedCall* call) {
        if (call->code() == "under way") return false;
        if (call->code() == "overloaded") {
          ++refused_;
          EXPECT_GT(call->result->error().retry_after->count(), 0);
          latest_refusal = std::max(latest_refusal,
                                    std::chrono::ceil<milliseconds>(pool_.now() - call->arrived));
        }
        return true;
      });
    }
    return latest_refusal;
  }

  ipc::StateSegment segment_{std::size_t{64} << 20};
  SteppedPool pool_{segment_, nullptr, 16};
  std::vector<SteppedCall*> open_;
  int sessions_ = 0;
  int answered_ = 0;
  int refused_ = 0;
};

TEST_F(OverloadTest, WhatIsTooMuchIsRefusedWithinTwoServiceTimesAndTheRestServed) {
  load(milliseconds(10), milliseconds(400));  // it takes that to see that it lasts
  ASSERT_TRUE(pool_.dispatcher().overloaded());
  answered_ = 0;
  refused_ = 0;
  const milliseconds latest = load(milliseconds(10), std::chrono::seconds(10));
  EXPECT_LE(latest, 2 * kOneCommand);
  EXPECT_GE(answered_, 450);
  EXPECT_GE(refused_, 450);
  EXPECT_TRUE(pool_.dispatcher().overloaded());
}

TEST_F(OverloadTest, EndsWithTheLoad) {
  load(milliseconds(10), std::chrono::seconds(1));
  load(milliseconds(40), std::chrono::seconds(2));
  EXPECT_FALSE(pool_.dispatcher().overloaded());
  refused_ = 0;
  load(milliseconds(25), std::chrono::seconds(10));
  EXPECT_EQ(refused_, 0);
}

TEST_F(OverloadTest, ABurstIsServed) {
  for (int i = 0; i < 10; ++i) {
    SteppedCall& first = pool_.call("first");
    std::vector<SteppedCall*> burst;
    burst.reserve(5);
    for (int k = 0; k < 5; ++k) burst.push_back(&pool_.call("s" + std::to_string(++sessions_)));
    pool_.answer(first, 1, kOneCommand);
    for (int k = 0; k < 5; ++k) {
      pool_.advance(kOneCommand);
      for (SteppedCall* call : burst) {
        if (call->request_id != 0) pool_.answer(*call, 1, kOneCommand);
      }
    }
    for (SteppedCall* call : burst) EXPECT_EQ(call->code(), "ok");
  }
}

TEST(BoundsTest, OfASessionAndOfThePool) {
  ipc::StateSegment segment{std::size_t{64} << 20};
  SteppedPool pool(segment);
  for (int i = 0; i < 17; ++i) EXPECT_EQ(pool.call("one").code(), "under way");
  SteppedCall& refused = pool.call("one");
  EXPECT_EQ(refused.code(), "session_queue_full");
  EXPECT_TRUE(refused.result->error().retry_after);
  EXPECT_TRUE(refused.result->error().retryable);
  int admitted = 0;
  while (pool.call("s" + std::to_string(admitted)).code() == "under way") ++admitted;
  // 64 wait, and the rest of the pipeline of 8 is under way beside the session's own call.
  EXPECT_EQ(pool.dispatcher().waiting_calls(), 64U);
  SteppedCall& full = pool.call("another");
  EXPECT_EQ(full.code(), "queue_full");
  EXPECT_TRUE(full.result->error().retry_after);
  EXPECT_EQ(pool.metrics().refused_for(telemetry::Refusal::kQueueFull).value(), 2U);
  EXPECT_EQ(pool.metrics().refused_for(telemetry::Refusal::kSessionQueueFull).value(), 1U);
  pool.dispatcher().set_pool_size(2);
  EXPECT_EQ(pool.call("one more").code(), "under way");
}

}  // namespace
}  // namespace dspool::dispatch
