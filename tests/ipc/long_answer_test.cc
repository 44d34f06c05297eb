// Answers that are too long for the response ring: through the bulk ring, and in sealed memfds.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>

#include "ipc/memfd.h"
#include "ipc/sealed_bytes.h"
#include "tests/ipc/channel_pair.h"
#include "tests/ipc/pattern.h"

namespace dspool::ipc {
namespace {

using testing::HasSubstr;

constexpr std::uint16_t kAnswer = 33;
constexpr ChannelSizes kWithBulk{.request_bytes = kMinRingBytes,
                                 .response_bytes = kMinRingBytes,
                                 .bulk_bytes = 2 * kMinRingBytes,
                                 .longest_answer_bytes = 4 << 20};

Result<FileDescriptor> sealed(std::span<const std::byte> body) {
  return seal_copy(std::array{body});
}

class LongAnswerTest : public testing::Test {
 protected:
  // As a worker answers, in a thread of its own. false: the engine is gone.
  bool answer(std::uint64_t id, std::span<const std::byte> body) {
    const bool fits = body.size() <= worker_->longest_in_rings();
    const FileDescriptor memfd = fits ? FileDescriptor() : std::move(*sealed(body));
    while (!(fits ? push(*worker_, id, body)
                  : bool{worker_->try_hand_over(kAnswer, id, memfd.get(), body.size())})) {
      const auto full = worker_->publish_full();
      if (!full || !worker_->wait_for_room(*full)) return false;
    }
    worker_->publish();
    return true;
  }

  void expect_answer(std::uint64_t id, std::span<const std::byte> body) {
    EngineChannel::Received received{};
    while ((received = engine_->receive(header_, body_)) == EngineChannel::Received::kNothing) {
      std::this_thread::yield();
    }
    ASSERT_EQ(received, EngineChannel::Received::kRecord) << engine_->violation();
    EXPECT_EQ(header_.request_id, id);
    EXPECT_TRUE(std::ranges::equal(body_, body)) << "of " << body.size() << " bytes";
  }

  void expect_violation(const char* lie) {
    worker_->publish();
    EXPECT_EQ(engine_->receive(header_, body_), EngineChannel::Received::kViolation);
    EXPECT_THAT(engine_->violation(), HasSubstr(lie));
  }

  ChannelPair pair_ = make_channel_pair(7, kWithBulk);
  std::unique_ptr<EngineChannel>& engine_ = pair_.engine;
  std::unique_ptr<WorkerChannel>& worker_ = pair_.worker;
  RecordHeader header_{};
  std::vector<std::byte> body_;
};

TEST_F(LongAnswerTest, EverySizeArrivesInOrder) {
  std::vector<std::size_t> sizes;
  for (int round = 0; round < 20; ++round) {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1000}, std::size_t{kInlineLimitBytes},
          std::size_t{kInlineLimitBytes} + 1, std::size_t{300'000},
          std::size_t{worker_->longest_in_rings()}, std::size_t{worker_->longest_in_rings()} + 1,
          std::size_t{3} << 20}) {
      sizes.push_back(size);
    }
  }
  std::thread worker([&] {
    for (std::size_t id = 0; id < sizes.size(); ++id) answer(id, pattern(sizes[id], id));
  });
  for (std::size_t id = 0; id < sizes.size(); ++id) expect_answer(id, pattern(sizes[id], id));
  worker.join();
}

TEST_F(LongAnswerTest, AFullBulkRingMakesTheWorkerWait) {
  const auto body = pattern(worker_->longest_in_rings(), 1);
  ASSERT_TRUE(push(*worker_, 1, body));
  ASSERT_TRUE(push(*worker_, 2, body));
  EXPECT_FALSE(worker_->try_reserve(worker_->longest_in_rings()));
  const auto full = worker_->publish_full();
  ASSERT_TRUE(full);
  std::thread waiter([&] { EXPECT_TRUE(worker_->wait_for_room(*full)); });
  expect_answer(1, body);
  waiter.join();
  EXPECT_TRUE(worker_->try_reserve(worker_->longest_in_rings()));
}

TEST_F(LongAnswerTest, WithoutABulkRingAllThatIsLongGoesBesideIt) {
  pair_ = make_channel_pair(7, kSmallestRings);
  const auto body = pattern(kInlineLimitBytes + 1, 1);
  EXPECT_EQ(worker_->longest_in_rings(), kInlineLimitBytes);
  ASSERT_TRUE(answer(1, body));
  expect_answer(1, body);
}

TEST_F(LongAnswerTest, NoDescriptorIsLeftOver) {
  const auto body = pattern(std::size_t{2} << 20, 1);
  const auto next_free = [] { return FileDescriptor(::fcntl(0, F_DUPFD_CLOEXEC, 0)).get(); };
  const int before = next_free();
  for (std::uint64_t id = 0; id < 100; ++id) {
    ASSERT_TRUE(answer(id, body));
    expect_answer(id, body);
  }
  EXPECT_EQ(next_free(), before);
}

TEST_F(LongAnswerTest, AMemfdThatIsNotSealedIsAViolation) {
  const Memfd open = Memfd::create("open", 1 << 20).value();
  ASSERT_TRUE(worker_->try_hand_over(kAnswer, 1, open.descriptor(), 1 << 20));
  expect_violation("not sealed");
}

TEST_F(LongAnswerTest, AMemfdOfAnotherSizeIsAViolation) {
  const auto memfd = sealed(pattern(1 << 20, 1)).value();
  ASSERT_TRUE(worker_->try_hand_over(kAnswer, 1, memfd.get(), 2 << 20));
  expect_violation("has 1048576 bytes, not 2097152");
}

TEST_F(LongAnswerTest, AMemfdWithHolesIsAViolation) {
  const FileDescriptor sparse(::memfd_create("sparse", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(sparse.get(), 1 << 20), 0);
  ASSERT_EQ(::fcntl(sparse.get(), F_ADD_SEALS,
                    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE),
            0);
  ASSERT_TRUE(worker_->try_hand_over(kAnswer, 1, sparse.get(), 1 << 20));
  expect_violation("has holes");
}

TEST_F(LongAnswerTest, ADescriptorThatIsNoMemfdIsAViolation) {
  ASSERT_TRUE(worker_->try_hand_over(kAnswer, 1, STDERR_FILENO, 1 << 20));
  expect_violation("no memfd");
}

TEST_F(LongAnswerTest, AMemfdThatDoesNotComeIsAViolation) {
  ASSERT_TRUE(worker_->try_hand_over(kAnswer, 1, -1, 1 << 20));
  expect_violation("did not come");
}

TEST_F(LongAnswerTest, WhatIsAboveTheLimitIsAViolation) {
  const auto memfd = sealed(pattern(5 << 20, 1)).value();
  ASSERT_TRUE(worker_->try_hand_over(kAnswer, 1, memfd.get(), 5 << 20));
  expect_violation("an answer of 5242880 bytes, the limit is 4194304");
}

// A worker that writes the rings by itself.
class BulkViolationTest : public testing::Test {
 protected:
  BulkViolationTest() {
    worker_.magic = kMagic;
    worker_.layout_version = kLayoutVersion;
    worker_.epoch = 7;
  }

  void expect_violation(const char* lie) {
    EXPECT_EQ(engine_->receive(header_, body_), EngineChannel::Received::kViolation);
    EXPECT_THAT(engine_->violation(), HasSubstr(lie));
  }

  void publish(BodyPlace place, std::uint64_t claimed_bytes) {
    const RecordHeader record{.length = sizeof(OutsideBody),
                              .type = kAnswer,
                              .flags = static_cast<std::uint16_t>(place),
                              .request_id = 5};
    const OutsideBody outside{.bytes = claimed_bytes};
    std::memcpy(&segment_.bytes()[kRingOffset], &record, sizeof record);
    std::memcpy(&segment_.bytes()[kRingOffset + sizeof record], &outside, sizeof outside);
    worker_.response_tail.value.store(32);
  }

  void publish_bulk(const RecordHeader& record) {
    std::memcpy(&segment_.bytes()[kRingOffset + kMinRingBytes], &record, sizeof record);
    worker_.bulk_tail.value.store(16 + std::uint64_t{record.length});
  }

  std::unique_ptr<EngineChannel> engine_ = EngineChannel::create(7, kWithBulk).value();
  Segment segment_ = Segment::map(engine_->child_descriptors().at(1).first,
                                  kRingOffset + 3 * kMinRingBytes, Access::kReadWrite)
                         .value();
  WorkerHeader& worker_ = *new (segment_.bytes().data()) WorkerHeader{};
  RecordHeader header_{};
  std::vector<std::byte> body_;
};

TEST_F(BulkViolationTest, IsNotSeenInAWorkerThatBehaves) {
  publish_bulk({.length = 160'000, .type = kAnswer, .flags = 0, .request_id = 5});
  publish(BodyPlace::kBulk, 160'000);
  EXPECT_EQ(engine_->receive(header_, body_), EngineChannel::Received::kRecord);
  EXPECT_EQ(engine_->violation(), "");
  EXPECT_EQ(body_.size(), 160'000);
}

TEST_F(BulkViolationTest, IsABodyThatIsNotThere) {
  publish(BodyPlace::kBulk, 160'000);
  expect_violation("not in the bulk ring");
}

TEST_F(BulkViolationTest, IsTheBodyOfAnother) {
  publish_bulk({.length = 160'000, .type = kAnswer, .flags = 0, .request_id = 6});
  publish(BodyPlace::kBulk, 160'000);
  expect_violation("belongs to another record");
}

TEST_F(BulkViolationTest, IsABodyOfAnotherSize) {
  publish_bulk({.length = 160'000, .type = kAnswer, .flags = 0, .request_id = 5});
  publish(BodyPlace::kBulk, 160'016);
  expect_violation("belongs to another record");
}

TEST_F(BulkViolationTest, IsARecordThatIsTooLong) {
  publish_bulk({.length = kMinRingBytes, .type = kAnswer, .flags = 0, .request_id = 5});
  publish(BodyPlace::kBulk, kMinRingBytes);
  expect_violation("bulk ring: a record is too long");
}

TEST_F(BulkViolationTest, IsATailThatLies) {
  worker_.bulk_tail.value.store(1 << 30);
  publish(BodyPlace::kBulk, 160'000);
  expect_violation("bulk ring: the tail passed the capacity");
}

}  // namespace
}  // namespace dspool::ipc
