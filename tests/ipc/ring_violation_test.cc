// What a lying other side can claim, and that each lie is seen before it is used.
#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "ipc/ring.h"

namespace dspool::ipc {
namespace {

class RingViolationTest : public testing::Test {
 protected:
  // Writes a header where the consumer looks next, and claims that `published` bytes follow.
  void publish_raw(const RecordHeader& header, std::uint64_t published) {
    std::memcpy(bytes_.data() + head_.load() % kMinRingBytes, &header, sizeof header);
    tail_.store(head_.load() + published);
  }

  void expect_consumer_sees(const char* lie) {
    EXPECT_FALSE(consumer_.peek());
    ASSERT_TRUE(consumer_.violated());
    EXPECT_NE(consumer_.violation().describe().find(lie), std::string::npos)
        << consumer_.violation().describe();
    tail_.store(tail_.load() + 16);
    EXPECT_FALSE(consumer_.peek()) << "after a lie nothing is believed";
  }

  void expect_producer_sees(const char* lie) {
    EXPECT_FALSE(fill_until_it_looks());
    ASSERT_TRUE(producer_.violated());
    EXPECT_NE(producer_.violation().describe().find(lie), std::string::npos)
        << producer_.violation().describe();
    EXPECT_FALSE(producer_.try_reserve(0)) << "after a lie nothing is believed";
  }

  // Pushes until the producer has to look at the consumer's cursor.
  bool fill_until_it_looks() {
    for (std::uint64_t pushed = 0; pushed <= kMinRingBytes; pushed += 4096) {
      if (!producer_.try_reserve(4096 - sizeof(RecordHeader))) return false;
      producer_.commit(1, 1);
      producer_.publish();
    }
    return true;
  }

  void consume_all_but_4096() {
    for (std::uint64_t at = 0; at < kMinRingBytes - 4096; at += 4096) {
      publish_raw({.length = 4080, .type = 1, .flags = 0, .request_id = 1}, 4096);
      ASSERT_TRUE(consumer_.peek());
      consumer_.release();
    }
  }

  alignas(kRecordAlignment) std::array<std::byte, kMinRingBytes> memory_{};
  std::span<std::byte> bytes_ = memory_;
  std::atomic<std::uint64_t> tail_ = 0;
  std::atomic<std::uint64_t> head_ = 0;
  Producer producer_{tail_, head_, bytes_};
  Consumer consumer_{head_, tail_, bytes_};
};

TEST_F(RingViolationTest, SeesATailThatWentBackwards) {
  publish_raw({.length = 16, .type = 1, .flags = 0, .request_id = 1}, 32);
  ASSERT_TRUE(consumer_.peek());
  consumer_.release();
  tail_.store(16);
  expect_consumer_sees("tail went backwards");
}

TEST_F(RingViolationTest, SeesATailBeyondTheCapacity) {
  tail_.store(kMinRingBytes + kRecordAlignment);
  expect_consumer_sees("tail passed the capacity");
}

TEST_F(RingViolationTest, SeesATailAtTheEndOfAllNumbers) {
  tail_.store(~std::uint64_t{0});
  expect_consumer_sees("tail passed the capacity");
}

TEST_F(RingViolationTest, SeesATailThatIsNotAligned) {
  tail_.store(24);
  expect_consumer_sees("tail is not aligned");
}

TEST_F(RingViolationTest, SeesABodyThatPassesTheTail) {
  publish_raw({.length = 17, .type = 1, .flags = 0, .request_id = 1}, 32);
  expect_consumer_sees("record passes the tail");
}

TEST_F(RingViolationTest, SeesABodyAboveTheInlineLimit) {
  publish_raw({.length = kInlineLimitBytes + 1, .type = 1, .flags = 0, .request_id = 1},
              kMinRingBytes);
  expect_consumer_sees("record is too long");
}

TEST_F(RingViolationTest, SeesTheLongestLengthThereIs) {
  publish_raw({.length = ~std::uint32_t{0}, .type = 1, .flags = 0, .request_id = 1}, kMinRingBytes);
  expect_consumer_sees("record is too long");
}

TEST_F(RingViolationTest, SeesUnknownFlags) {
  publish_raw({.length = 0, .type = 1, .flags = kLastBodyPlace + 1, .request_id = 1}, 16);
  expect_consumer_sees("unknown flags");
}

TEST_F(RingViolationTest, SeesPaddingAwayFromTheEnd) {
  publish_raw({.length = 16, .type = kPaddingType, .flags = 0, .request_id = 0}, 32);
  expect_consumer_sees("padding");
}

TEST_F(RingViolationTest, SeesPaddingWithNothingBehindIt) {
  consume_all_but_4096();
  publish_raw({.length = 4080, .type = kPaddingType, .flags = 0, .request_id = 0}, 4096);
  expect_consumer_sees("padding record has no record behind it");
}

TEST_F(RingViolationTest, SeesARecordThatCrossesTheEnd) {
  consume_all_but_4096();
  publish_raw({.length = 4096, .type = 1, .flags = 0, .request_id = 1}, 8192);
  expect_consumer_sees("passes the end of the ring");
}

// A cursor may jump onto bytes of the ring's last life: they are a record or they are a lie.
TEST_F(RingViolationTest, SurvivesAnyBytesAtAll) {
  std::uint64_t state = 88172645463325252;
  for (std::byte& byte : memory_) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    byte = static_cast<std::byte>(state);
  }
  tail_.store(kMinRingBytes);
  while (const auto record = consumer_.peek()) {
    ASSERT_GE(record->body.data(), bytes_.data());
    ASSERT_LE(record->body.data() + record->body.size(), bytes_.data() + bytes_.size());
    consumer_.release();
  }
  EXPECT_TRUE(consumer_.violated());
}

TEST_F(RingViolationTest, SeesAHeadThatWentBackwards) {
  ASSERT_FALSE(fill_until_it_looks());
  head_.store(8192);
  ASSERT_TRUE(producer_.try_reserve(0));
  head_.store(4096);
  expect_producer_sees("head went backwards");
}

TEST_F(RingViolationTest, SeesAHeadBeyondWhatWasPublished) {
  head_.store(kMinRingBytes + kRecordAlignment);
  expect_producer_sees("head passed the tail");
}

TEST_F(RingViolationTest, SeesAHeadBeyondWhatWasPublishedThoughCommitted) {
  ASSERT_TRUE(producer_.try_reserve(4096));
  producer_.commit(1, 1);
  producer_.publish();
  while (producer_.try_reserve(4096)) producer_.commit(1, 1);
  head_.store(2 * (4096 + sizeof(RecordHeader)));
  EXPECT_FALSE(producer_.try_reserve(4096));
  EXPECT_TRUE(producer_.violated());
}

TEST_F(RingViolationTest, SeesAHeadThatIsNotAligned) {
  head_.store(4096 + 8);
  expect_producer_sees("head is not aligned");
}

}  // namespace
}  // namespace dspool::ipc
