// A worker that writes into its segment what it must not: the engine says so and goes on living.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>

#include "ipc/segment.h"
#include "tests/ipc/channel_pair.h"

namespace dspool::ipc {
namespace {

using testing::HasSubstr;

class ChannelViolationTest : public testing::Test {
 protected:
  void expect_violation(const char* lie) {
    for (int time = 0; time < 2; ++time) {  // it stays
      EXPECT_EQ(engine_->receive(header_, body_), EngineChannel::Received::kViolation);
      EXPECT_THAT(engine_->violation(), HasSubstr(lie));
    }
  }

  // What a worker does that attaches as it should.
  void write_header() {
    worker_.magic = kMagic;
    worker_.layout_version = kLayoutVersion;
    worker_.epoch = 7;
  }

  void publish(const RecordHeader& record, std::uint64_t tail) {
    std::memcpy(segment_.bytes().data() + kRingOffset, &record, sizeof record);
    worker_.response_tail.value.store(tail);
  }

  std::unique_ptr<EngineChannel> engine_ = EngineChannel::create(7, kSmallestRings).value();
  Segment segment_ = Segment::map(engine_->child_descriptors().at(1).first,
                                  kRingOffset + kMinRingBytes, Access::kReadWrite)
                         .value();
  WorkerHeader& worker_ = *new (segment_.bytes().data()) WorkerHeader{};
  RecordHeader header_{};
  std::vector<std::byte> body_;
};

TEST_F(ChannelViolationTest, IsNotSeenInAWorkerThatBehaves) {
  write_header();
  publish({.length = 16, .type = 33, .flags = 0, .request_id = 5}, 32);
  EXPECT_EQ(engine_->receive(header_, body_), EngineChannel::Received::kRecord);
  EXPECT_EQ(engine_->violation(), "");
}

TEST_F(ChannelViolationTest, IsARecordWithoutAHeaderOfTheSegment) {
  publish({.length = 16, .type = 33, .flags = 0, .request_id = 5}, 32);
  expect_violation("header is not of this channel");
}

TEST_F(ChannelViolationTest, IsAHeaderOfAnotherEpoch) {
  write_header();
  worker_.epoch = 6;
  publish({.length = 16, .type = 33, .flags = 0, .request_id = 5}, 32);
  expect_violation("header is not of this channel");
}

TEST_F(ChannelViolationTest, IsATailThatLies) {
  write_header();
  worker_.response_tail.value.store(kMinRingBytes + 16);
  expect_violation("response ring: the tail passed the capacity");
}

TEST_F(ChannelViolationTest, IsARecordThatLies) {
  write_header();
  publish({.length = 1000, .type = 33, .flags = 0, .request_id = 5}, 32);
  expect_violation("response ring: a record passes the tail");
}

TEST_F(ChannelViolationTest, IsAHeadThatLiesToTheSender) {
  write_header();
  worker_.request_head.value.store(1 << 30);
  EXPECT_EQ(engine_->receive(header_, body_), EngineChannel::Received::kNothing);
  EXPECT_FALSE(engine_->has_records());
  while (push(*engine_, 1, {})) continue;
  EXPECT_TRUE(engine_->has_records()) << "or nobody would look";
  expect_violation("request ring");
}

}  // namespace
}  // namespace dspool::ipc
