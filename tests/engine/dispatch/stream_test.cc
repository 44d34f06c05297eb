// Which chunks of a worker are believed, and what becomes of them.
#include <gtest/gtest.h>

#include <vector>

#include "ipc/state_segment.h"
#include "tests/engine/dispatch/stepped_pool.h"

namespace dspool::dispatch {
namespace {

constexpr std::uint64_t kWindow = ipc::ChunkWindow::kMostChunks;

class ChunkTest : public testing::Test {
 protected:
  void arrive(SteppedCall& call, ipc::ChunkWindow* window, std::uint32_t max_retries = 0) {
    pool_.prepare(call, "a");
    call.window = window;
    call.max_retries = max_retries;
    ASSERT_TRUE(pool_.dispatcher().arrive(call, pool_.now()));
  }

  [[nodiscard]] bool tell(std::uint64_t request_id, std::uint64_t index, std::uint32_t attempt = 1,
                          std::size_t bytes = 64) {
    const Value value = Value::of(1);
    worker::ChunkReport chunk{.attempt = attempt,
                              .index = index,
                              .value = {value.bytes().begin(), value.bytes().end()},
                              .record_bytes = bytes};
    return pool_.dispatcher().chunk_came(0, request_id, chunk);
  }

  ipc::StateSegment segment_{std::size_t{64} << 20};
  ipc::ChunkWindow window_;
  SteppedCall call_;  // outlives the pool, which ends it
  SteppedPool pool_{segment_};
};

TEST_F(ChunkTest, IsTakenInItsOrder) {
  arrive(call_, &window_);
  EXPECT_TRUE(tell(call_.request_id, 0));
  EXPECT_TRUE(tell(call_.request_id, 1));
  ASSERT_EQ(pool_.chunks().size(), 2U);
  EXPECT_EQ(pool_.chunks()[1].index, 1U);
  EXPECT_EQ(pool_.metrics().chunks.value(), 2U);
}

TEST_F(ChunkTest, IsRefusedOutOfItsOrder) {
  arrive(call_, &window_);
  EXPECT_FALSE(tell(call_.request_id, 1)) << "the first is missing";
  EXPECT_TRUE(tell(call_.request_id, 0));
  EXPECT_FALSE(tell(call_.request_id, 0)) << "it has come";
}

TEST_F(ChunkTest, IsRefusedOfWhatIsNotItsAttempt) {
  arrive(call_, &window_);
  EXPECT_FALSE(tell(call_.request_id, 0, 2));
  EXPECT_FALSE(tell(call_.request_id + 1, 0));
  const std::uint64_t request_id = call_.request_id;
  pool_.answer(call_, 1);
  EXPECT_FALSE(tell(request_id, 0)) << "it was answered";
}

TEST_F(ChunkTest, IsRefusedWhereNobodyListens) {
  arrive(call_, nullptr);
  EXPECT_FALSE(tell(call_.request_id, 0));
}

TEST_F(ChunkTest, IsRefusedBeyondItsWindow) {
  arrive(call_, &window_);
  for (std::uint64_t index = 0; index < kWindow; ++index) {
    ASSERT_TRUE(tell(call_.request_id, index));
  }
  EXPECT_FALSE(tell(call_.request_id, kWindow));
  EXPECT_TRUE(pool_.dispatcher().chunks_consumed(0, call_.request_id, 1));
  EXPECT_TRUE(tell(call_.request_id, kWindow));
  EXPECT_FALSE(tell(call_.request_id, kWindow + 1));
  EXPECT_FALSE(pool_.dispatcher().chunks_consumed(0, call_.request_id, kWindow + 2));
}

TEST_F(ChunkTest, MayBeLongByItselfOnly) {
  arrive(call_, &window_);
  EXPECT_TRUE(tell(call_.request_id, 0, 1, 10 * ipc::ChunkWindow::kMostBytes));
  EXPECT_FALSE(tell(call_.request_id, 1));
  EXPECT_TRUE(pool_.dispatcher().chunks_consumed(0, call_.request_id, 1));
  EXPECT_TRUE(tell(call_.request_id, 1, 1, ipc::ChunkWindow::kMostBytes));
  EXPECT_FALSE(tell(call_.request_id, 2));
}

TEST_F(ChunkTest, IsCountedAndThrownAwayOnceItsCallHasEnded) {
  arrive(call_, &window_);
  const std::uint64_t request_id = call_.request_id;
  EXPECT_TRUE(tell(request_id, 0));
  pool_.dispatcher().cancel(call_, pool_.now());
  EXPECT_TRUE(tell(request_id, 1));
  EXPECT_EQ(pool_.chunks().size(), 1U);
  EXPECT_EQ(pool_.metrics().late_chunks.value(), 1U);
  EXPECT_FALSE(pool_.dispatcher().chunks_consumed(0, request_id, 1)) << "nobody need be told";
}

TEST_F(ChunkTest, BeginsAnewWithTheNextAttempt) {
  arrive(call_, &window_, 1);
  EXPECT_TRUE(tell(call_.request_id, 0));
  const std::uint64_t first = call_.request_id;
  pool_.fail(call_, {.category = ErrorCategory::kPython, .code = "later", .retryable = true});
  while (call_.request_id == 0) pool_.advance(std::chrono::milliseconds(1));
  EXPECT_FALSE(tell(first, 1));
  EXPECT_FALSE(tell(call_.request_id, 1, 2));
  EXPECT_TRUE(tell(call_.request_id, 0, 2));
}

// What it has said shows that it has begun.
TEST_F(ChunkTest, WhoHasSentOneCannotBeRecalled) {
  arrive(call_, &window_);
  EXPECT_TRUE(tell(call_.request_id, 0));
  EXPECT_FALSE(pool_.tell(call_.request_id, OutcomeStatus::kRecalled));
  EXPECT_FALSE(pool_.tell(call_.request_id, OutcomeStatus::kNeedState));
}

// A command that has noticed its cancel: nothing is thrown away, and the next call runs at once.
TEST_F(ChunkTest, ACancelThatIsAcknowledgedFreesTheSession) {
  arrive(call_, &window_);
  const std::uint64_t request_id = call_.request_id;
  pool_.dispatcher().cancel(call_, pool_.now());
  SteppedCall& next = pool_.call("a");
  EXPECT_EQ(next.request_id, 0U) << "its session is taken";
  EXPECT_TRUE(pool_.tell(request_id, OutcomeStatus::kCancelled));
  EXPECT_NE(next.request_id, 0U);
  EXPECT_EQ(pool_.metrics().late_answers.value(), 0U);
}

TEST_F(ChunkTest, ACancelThatNobodyAskedForIsRefused) {
  arrive(call_, &window_);
  EXPECT_FALSE(pool_.tell(call_.request_id, OutcomeStatus::kCancelled));
}

}  // namespace
}  // namespace dspool::dispatch
