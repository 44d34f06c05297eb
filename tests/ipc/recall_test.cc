// Requests that are taken back: both ends in one thread for what must happen when, and a real
// worker process, at random times, for what must never happen.
#include "ipc/recall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <vector>

#include "tests/ipc/child.h"
#include "tests/ipc/claim_answer.h"
#include "tests/support/seed.h"

namespace dspool::ipc {
namespace {

using testing::HasSubstr;

class RecallTest : public testing::Test {
 protected:
  void send(std::uint64_t requests) const {
    for (std::uint64_t i = 0; i < requests; ++i) {
      ASSERT_TRUE(push(*pair_.engine, i, {}));
      pair_.engine->count_request();
    }
    publish_and_ring(*pair_.engine);
  }
  // Whether the worker may begin the next request.
  [[nodiscard]] bool claim() const {
    EXPECT_TRUE(pair_.worker->try_receive().has_value());
    const bool begins = pair_.worker->claim();
    pair_.worker->release();
    return begins;
  }

  ChannelPair pair_ = make_channel_pair();
};

TEST_F(RecallTest, WhatIsNotClaimedIsTakenBack) {
  send(3);
  EXPECT_TRUE(claim());
  EXPECT_EQ(pair_.engine->claimed_requests(), 1U);
  EXPECT_EQ(pair_.engine->recall_requests(), 1U);
  EXPECT_FALSE(claim());
  EXPECT_FALSE(claim());
}

TEST_F(RecallTest, WhatIsSentAfterwardsBegins) {
  send(1);
  EXPECT_EQ(pair_.engine->recall_requests(), 0U);
  send(2);
  EXPECT_FALSE(claim());
  EXPECT_TRUE(claim());
  EXPECT_EQ(pair_.engine->recall_requests(), 2U);
  EXPECT_FALSE(claim());
}

TEST_F(RecallTest, AClaimOfWhatWasNotSentIsAViolation) {
  send(1);
  EXPECT_TRUE(claim());
  send(1);
  static_cast<void>(pair_.worker->claim());
  static_cast<void>(pair_.worker->claim());
  EXPECT_EQ(pair_.engine->recall_requests(), 2U) << "nothing is taken back";
  RecordHeader header{};
  std::vector<std::byte> body;
  EXPECT_TRUE(pair_.engine->has_records()) << "or nobody would look";
  EXPECT_EQ(pair_.engine->receive(header, body), EngineChannel::Received::kViolation);
  EXPECT_THAT(pair_.engine->violation(), HasSubstr("claim"));
}

// Sends bursts to a worker in another process, and recalls while it runs them.
class RecallRaceTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kRequests = 20'000;
  static constexpr std::size_t kMostUnderWay = 16;

  void send(std::int64_t time_ns) {
    ++sent_;
    ASSERT_TRUE(push(*engine_, sent_, std::as_bytes(std::span(&time_ns, 1))));
    engine_->count_request();
    publish_and_ring(*engine_);
  }

  static void wait(std::chrono::nanoseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) continue;
  }

  void recall() {
    const std::uint64_t begun = engine_->recall_requests();
    ASSERT_GE(begun, answered_) << "an answer is to a claim";
    for (std::uint64_t id = std::max(begun, taken_back_to_) + 1; id <= sent_; ++id) {
      taken_back_.insert(id);
    }
    taken_back_to_ = std::max(taken_back_to_, sent_);
  }

  // One answer, waiting for it.
  void receive() {
    ASSERT_EQ(receive_waiting(*engine_, header_, body_, worker_->pidfd()),
              EngineChannel::Received::kRecord);
    ASSERT_EQ(header_.request_id, ++answered_) << "each request has one answer";
    const bool ran = header_.type == static_cast<std::uint16_t>(ClaimAnswer::kRan);
    const bool was_taken_back = taken_back_.contains(answered_);
    ASSERT_FALSE(ran && was_taken_back) << "request " << answered_ << " was taken back, and ran";
    ++(ran ? ran_ : was_taken_back ? skipped_ : skipped_in_doubt_);
  }

  std::unique_ptr<EngineChannel> engine_ = EngineChannel::create(1, kSmallestRings).value();
  std::unique_ptr<ChildProcess> worker_ = spawn({.program = beside_this_program("claiming_peer"),
                                                 .arguments = {},
                                                 .environment = {},
                                                 .descriptors = engine_->child_descriptors()});
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t taken_back_to_ = 0;
  std::set<std::uint64_t> taken_back_;
  std::uint64_t ran_ = 0;
  std::uint64_t skipped_ = 0;
  std::uint64_t skipped_in_doubt_ = 0;
  RecordHeader header_{};
  std::vector<std::byte> body_;
};

TEST_F(RecallRaceTest, NothingRunsThatWasTakenBackAndNothingIsLost) {
  engine_->close_child_ends();
  std::mt19937_64 random(test::test_seed());
  const auto below = [&random](std::uint64_t bound) { return random() % bound; };
  while (answered_ < kRequests && !HasFatalFailure()) {
    // At times one request alone, recalled when the worker is about to come to it.
    const bool alone = below(2) == 0;
    while (alone && answered_ < sent_ && !HasFatalFailure()) receive();
    const std::uint64_t burst = alone ? 1 : below(kMostUnderWay - (sent_ - answered_) + 1);
    for (std::uint64_t i = 0; i < burst; ++i) send(static_cast<std::int64_t>(below(4'000)));
    wait(std::chrono::nanoseconds(below(alone ? 1'000 : 12'000)));
    if (alone || below(2) == 0) recall();
    for (std::uint64_t left = below(sent_ - answered_ + 1); left != 0; --left) receive();
  }
  while (answered_ < sent_ && !HasFatalFailure()) receive();
  EXPECT_GT(ran_, 0U);
  EXPECT_GT(skipped_, 0U);
  std::cout << ran_ << " ran, " << skipped_ << " were taken back, " << skipped_in_doubt_
            << " came back in doubt\n";
}

}  // namespace
}  // namespace dspool::ipc
