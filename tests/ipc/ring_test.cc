// Both views of a ring on plain memory.
#include "ipc/ring.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <thread>

#include "tests/support/seed.h"

namespace dspool::ipc {
namespace {

constexpr std::uint16_t kType = 9;

class RingTest : public testing::Test {
 protected:
  bool push(std::uint64_t id, std::uint32_t length, std::byte fill = std::byte{0}) {
    const auto place = producer_.try_reserve(length);
    if (!place) return false;
    std::fill(place->begin(), place->end(), fill);
    producer_.commit(kType, id);
    producer_.publish();
    return true;
  }

  // The id of the record popped, or 0.
  std::uint64_t pop() {
    const auto record = consumer_.peek();
    if (!record) return 0;
    consumer_.release();
    return record->header.request_id;
  }

  // Brings both cursors to `offset` with the ring empty.
  void advance_to(std::uint64_t offset) {
    while (tail_.load() < offset) {
      const auto left = offset - tail_.load() - sizeof(RecordHeader);
      ASSERT_TRUE(push(1, static_cast<std::uint32_t>(std::min<std::uint64_t>(left, 4096))));
      ASSERT_EQ(pop(), 1U);
    }
    ASSERT_EQ(tail_.load(), offset);
  }

  alignas(kRecordAlignment) std::array<std::byte, kMinRingBytes> memory_{};
  std::span<std::byte> bytes_ = memory_;
  std::atomic<std::uint64_t> tail_ = 0;
  std::atomic<std::uint64_t> head_ = 0;
  Producer producer_{tail_, head_, bytes_};
  Consumer consumer_{head_, tail_, bytes_};
};

TEST_F(RingTest, GivesRecordsInTheOrderOfTheirCommits) {
  for (std::uint64_t id = 1; id <= 100; ++id) ASSERT_TRUE(push(id, static_cast<std::uint32_t>(id)));
  for (std::uint64_t id = 1; id <= 100; ++id) {
    const auto record = consumer_.peek();
    ASSERT_TRUE(record);
    EXPECT_EQ(record->header.request_id, id);
    EXPECT_EQ(record->header.length, id);
    EXPECT_EQ(record->header.type, kType);
    EXPECT_EQ(record->header.flags, 0);
    EXPECT_EQ(record->body.size(), id);
    consumer_.release();
  }
  EXPECT_FALSE(consumer_.peek());
  EXPECT_FALSE(consumer_.violated());
}

TEST_F(RingTest, ShowsNothingBeforeItIsPublished) {
  ASSERT_TRUE(producer_.try_reserve(8));
  producer_.commit(kType, 1);
  EXPECT_FALSE(consumer_.peek());
  EXPECT_TRUE(consumer_.empty());
  producer_.publish();
  EXPECT_FALSE(consumer_.empty());
  EXPECT_TRUE(consumer_.peek());
}

TEST_F(RingTest, ShowsTheSameRecordUntilItIsReleased) {
  ASSERT_TRUE(push(1, 8));
  ASSERT_TRUE(push(2, 8));
  EXPECT_EQ(consumer_.peek()->header.request_id, 1U);
  EXPECT_EQ(consumer_.peek()->header.request_id, 1U);
  consumer_.release();
  EXPECT_EQ(consumer_.peek()->header.request_id, 2U);
}

TEST_F(RingTest, GivesAPlaceThatWasNotCommittedAgain) {
  ASSERT_TRUE(producer_.try_reserve(4096));
  ASSERT_TRUE(push(1, 8));
  EXPECT_EQ(consumer_.peek()->header.length, 8U);
}

TEST_F(RingTest, AlignsEveryBody) {
  for (std::uint32_t length = 0; length < 40; ++length) {
    const auto place = producer_.try_reserve(length);
    ASSERT_TRUE(place);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(place->data()) % kRecordAlignment, 0U);
    producer_.commit(kType, 1);
  }
}

TEST_F(RingTest, RefusesARecordAboveTheInlineLimit) {
  EXPECT_FALSE(producer_.try_reserve(kInlineLimitBytes + 1));
  EXPECT_FALSE(producer_.violated());
  EXPECT_TRUE(push(1, kInlineLimitBytes));
  EXPECT_EQ(pop(), 1U);
}

TEST_F(RingTest, IsFullWhenEveryByteIsTaken) {
  constexpr std::uint32_t kBody = 4096 - sizeof(RecordHeader);
  for (std::uint64_t id = 1; id <= kMinRingBytes / 4096; ++id) ASSERT_TRUE(push(id, kBody));
  EXPECT_FALSE(push(1000, 0));
  EXPECT_EQ(producer_.known_head(), head_.load()) << "no use in trying again before it moves";
  EXPECT_EQ(pop(), 1U);
  EXPECT_NE(producer_.known_head(), head_.load());
  EXPECT_FALSE(push(1000, kBody + 1));
  EXPECT_TRUE(push(1000, kBody));
  EXPECT_FALSE(producer_.violated());
}

TEST_F(RingTest, PadsTheEndInsteadOfCrossingIt) {
  advance_to(kMinRingBytes - 64);
  ASSERT_TRUE(push(5, 100, std::byte{0x5a}));
  EXPECT_EQ(tail_.load(), kMinRingBytes + sizeof(RecordHeader) + 112);
  const auto record = consumer_.peek();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->body.data(), bytes_.data() + sizeof(RecordHeader));
  for (const std::byte byte : record->body) ASSERT_EQ(byte, std::byte{0x5a});
  consumer_.release();
  EXPECT_EQ(head_.load(), tail_.load());
}

TEST_F(RingTest, UsesTheEndWithoutPaddingWhenTheRecordFits) {
  advance_to(kMinRingBytes - 64);
  ASSERT_TRUE(push(5, 48));
  EXPECT_EQ(tail_.load(), kMinRingBytes);
  EXPECT_EQ(pop(), 5U);
}

// kMinRingBytes promises this.
TEST_F(RingTest, TakesTheLongestRecordWheneverItIsEmpty) {
  for (std::uint64_t offset = kMinRingBytes - kLongestRecordBytes - 64; offset <= kMinRingBytes;
       offset += kRecordAlignment) {
    std::atomic<std::uint64_t> tail = 0;
    std::atomic<std::uint64_t> head = 0;
    Producer producer(tail, head, bytes_);
    Consumer consumer(head, tail, bytes_);
    for (std::uint64_t left = offset; left > 0;) {
      const auto record = std::min<std::uint64_t>(left, 128 * 1024);
      ASSERT_TRUE(producer.try_reserve(static_cast<std::uint32_t>(record - sizeof(RecordHeader))));
      producer.commit(kType, 1);
      producer.publish();
      ASSERT_TRUE(consumer.peek());
      consumer.release();
      left -= record;
    }
    ASSERT_TRUE(producer.try_reserve(kInlineLimitBytes)) << "at " << offset;
    producer.commit(kType, 2);
    producer.publish();
    ASSERT_TRUE(consumer.peek());
  }
}

// Two threads, random lengths and batches; every body tells which record it is and how long.
TEST_F(RingTest, KeepsOrderAndContentBetweenTwoThreads) {
  const std::uint64_t seed = test::test_seed();
  constexpr std::uint64_t kRecords = 300'000;

  std::thread sender([&] {
    std::mt19937_64 random(seed);
    for (std::uint64_t id = 1; id <= kRecords;) {
      for (auto batch = 1 + random() % 8; batch > 0 && id <= kRecords; --batch, ++id) {
        const auto length = random() % 1000 == 0 ? kInlineLimitBytes : random() % 300;
        auto place = producer_.try_reserve(static_cast<std::uint32_t>(length));
        while (!place) {
          producer_.publish();
          std::this_thread::yield();
          place = producer_.try_reserve(static_cast<std::uint32_t>(length));
        }
        std::memset(place->data(), static_cast<int>(id % 251), place->size());
        producer_.commit(static_cast<std::uint16_t>(1 + id % 7), id);
      }
      producer_.publish();
    }
  });

  std::uint64_t wrong = 0;
  for (std::uint64_t id = 1; id <= kRecords && !consumer_.violated();) {
    const auto record = consumer_.peek();
    if (!record) {
      std::this_thread::yield();
      continue;
    }
    const auto expected = static_cast<std::byte>(id % 251);
    wrong += record->header.request_id != id || record->header.type != 1 + id % 7;
    for (const std::byte byte : record->body) wrong += byte != expected;
    consumer_.release();
    ++id;
  }
  EXPECT_FALSE(consumer_.violated());  // else the sender waits for room for ever
  sender.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_FALSE(producer_.violated());
  EXPECT_TRUE(consumer_.empty());
}

}  // namespace
}  // namespace dspool::ipc
