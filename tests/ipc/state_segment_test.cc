#include "ipc/state_segment.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <set>
#include <thread>

#include "ipc/state_segment_view.h"
#include "ipc/state_sizes.h"
#include "tests/ipc/pattern.h"
#include "tests/support/seed.h"

namespace dspool::ipc {
namespace {

constexpr std::size_t kExtent = StateSegment::kExtentBytes;

void fill(const StateBlock& block, std::span<const std::byte> body) {
  std::ranges::copy(body, block.bytes().begin());
}

// What a worker sees of it.
class Reader {
 public:
  explicit Reader(const StateSegment& segment) : segment_(segment) {}

  bool sees(const StateBlock& block, std::span<const std::byte> body) {
    for (; extents_ < segment_.extents(); ++extents_) {
      EXPECT_TRUE(view_.add(extents_, segment_.descriptor(extents_)));
    }
    const auto seen = view_.bytes(block.place(), body.size());
    return seen && std::ranges::equal(*seen, body);
  }

 private:
  const StateSegment& segment_;
  StateSegmentView view_;
  std::uint32_t extents_ = 0;
};

TEST(StateSizesTest, ABlockIsAtMostAQuarterLongerThanAsked) {
  for (std::size_t bytes = 1; bytes <= 70'000; ++bytes) {
    const std::size_t block = StateSegment::block_bytes(bytes);
    ASSERT_GE(block, bytes);
    ASSERT_EQ(block % 16, 0U);
    ASSERT_LE(block, bytes + std::max<std::size_t>(16, bytes / 4)) << bytes;
  }
}

// Blocks of all sizes come and go; what each holds is compared, through a mapping of the
// descriptors, when it goes.
TEST(StateSegmentTest, BlocksDoNotOverlap) {
  std::minstd_rand random(static_cast<std::uint32_t>(test::test_seed()));
  StateSegment segment(64 * kExtent);
  Reader reader(segment);
  struct Kept {
    StateBlock block;
    std::vector<std::byte> body;
  };
  std::vector<Kept> kept;
  for (int round = 0; round < 30'000; ++round) {
    if (!kept.empty() && (random() % 5 < 2 || kept.size() > 2'000)) {
      std::swap(kept[random() % kept.size()], kept.back());
      ASSERT_TRUE(reader.sees(kept.back().block, kept.back().body));
      kept.pop_back();
      continue;
    }
    const std::size_t longest = std::size_t{1} << (random() % 17);
    auto body = pattern(random() % longest + 1, random());
    StateBlock block = segment.allocate(body.size(), random());
    ASSERT_TRUE(block);
    ASSERT_EQ(block.bytes().size(), StateSegment::block_bytes(body.size()));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block.bytes().data()) % 16, 0U);
    fill(block, body);
    kept.push_back({std::move(block), std::move(body)});
  }
  for (const Kept& one : kept) ASSERT_TRUE(reader.sees(one.block, one.body));
  EXPECT_GT(segment.used_bytes(), 0U);
  kept.clear();
  EXPECT_EQ(segment.used_bytes(), 0U);
}

TEST(StateSegmentTest, KeepsToItsLimit) {
  StateSegment segment(4 * kExtent + 100);
  std::vector<StateBlock> blocks;
  while (StateBlock block = segment.allocate(64 * 1024, blocks.size())) {
    blocks.push_back(std::move(block));
    ASSERT_LE(segment.reserved_bytes(), segment.limit_bytes());
  }
  EXPECT_EQ(blocks.size(), 3 * kExtent / (64 * 1024));
  EXPECT_EQ(segment.extents(), 3U);
  EXPECT_FALSE(segment.allocate(16, 5));
  EXPECT_FALSE(segment.allocate(2 * kExtent, 5));
  EXPECT_TRUE(segment.allocate(kExtent, 5)) << "a quarter is for blocks by themselves";
  blocks.pop_back();
  EXPECT_TRUE(segment.allocate(16, 5)) << "a shard without extents borrows";
}

TEST(StateSegmentTest, AnEmptySegmentHasNothing) {
  StateSegment segment(0);
  EXPECT_FALSE(segment.allocate(1, 0));
  EXPECT_FALSE(segment.allocate(kExtent, 0));
  EXPECT_EQ(segment.reserved_bytes(), 0U);
}

TEST(StateSegmentTest, SteadyChurnDoesNotLetItGrow) {
  std::minstd_rand random(static_cast<std::uint32_t>(test::test_seed()));
  StateSegment segment(64 * kExtent);
  std::vector<StateBlock> blocks(500);
  std::size_t settled = 0;
  for (int round = 0; round < 200'000; ++round) {
    StateBlock& block = blocks[random() % blocks.size()];
    block = StateBlock();
    block = segment.allocate(random() % 2'000 + 1, 1);
    ASSERT_TRUE(block);
    if (round == 20'000) settled = segment.reserved_bytes();
  }
  EXPECT_LE(segment.reserved_bytes(), settled + kExtent);
}

// What is taken step by step never has to wait for an extent, and no shard has many in advance.
TEST(StateSegmentTest, GrowsAhead) {
  StateSegment segment(7 * kExtent);  // five of them for extents
  std::vector<StateBlock> blocks;
  for (std::uint32_t extents = 1; extents <= 5; ++extents) {
    segment.grow_ahead(2);
    segment.grow_ahead(2);
    ASSERT_EQ(segment.extents(), extents);
    while (segment.used_bytes() < extents * kExtent - kExtent / 16) {
      blocks.push_back(segment.allocate(32 * 1024, 2));
    }
    ASSERT_EQ(segment.extents(), extents);
  }
  segment.grow_ahead(2);
  EXPECT_EQ(segment.extents(), 5U) << "the limit";
}

TEST(StateSegmentTest, FreedSpansServeOtherSizes) {
  StateSegment segment(kExtent);
  for (const std::size_t bytes : {16UL, 5'000UL, 100'000UL, 1'024UL, 16'384UL, 1UL << 20}) {
    std::vector<StateBlock> blocks;
    while (StateBlock block = segment.allocate(bytes, 0)) blocks.push_back(std::move(block));
    EXPECT_GE(blocks.size() * StateSegment::block_bytes(bytes), kExtent / 10 * 7) << bytes;
  }
  EXPECT_EQ(segment.extents(), 1U);
}

TEST(StateSegmentTest, NobodyElseCanWriteToItOrResizeIt) {
  StateSegment segment(8 * kExtent);
  const StateBlock shared = segment.allocate(100, 0);
  const StateBlock by_itself = segment.allocate(StateSegment::kLongestShared + 1, 0);
  for (const int descriptor : {segment.descriptor(0), by_itself.descriptor()}) {
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), MAP_FAILED);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(::pwrite(descriptor, "x", 1, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(::ftruncate(descriptor, 4096), -1);
    EXPECT_EQ(::ftruncate(descriptor, 1 << 30), -1);
    EXPECT_NE(::fcntl(descriptor, F_GET_SEALS) & F_SEAL_SEAL, 0);
  }
}

TEST(StateSegmentTest, WhatIsTooLongToShareIsByItself) {
  StateSegment segment(16 * kExtent);
  std::set<std::uint64_t> numbers;
  for (int i = 0; i < 3; ++i) {
    const auto body = pattern(3'000'000, static_cast<std::uint64_t>(i));
    const StateBlock block = segment.allocate(body.size(), 0);
    ASSERT_TRUE(block);
    EXPECT_EQ(block.place().extent, StatePlace::kByItself);
    numbers.insert(block.place().at);
    fill(block, body);
    void* const seen = ::mmap(nullptr, body.size(), PROT_READ, MAP_SHARED, block.descriptor(), 0);
    ASSERT_NE(seen, MAP_FAILED);
    EXPECT_TRUE(std::ranges::equal(std::span(static_cast<std::byte*>(seen), body.size()), body));
    ::munmap(seen, body.size());
    EXPECT_EQ(segment.used_bytes(), block.bytes().size());
    EXPECT_EQ(segment.reserved_bytes(), block.bytes().size());
  }
  EXPECT_EQ(numbers.size(), 3U) << "no number is used twice";
  EXPECT_EQ(segment.reserved_bytes(), 0U);
  EXPECT_EQ(segment.extents(), 0U);
}

TEST(StateSegmentTest, ServesManyThreads) {
  const auto seed = static_cast<std::uint32_t>(test::test_seed());
  StateSegment segment(32 * kExtent);
  std::vector<std::jthread> threads;
  std::atomic<int> torn = 0;
  for (std::uint32_t number = 0; number < 4; ++number) {
    threads.emplace_back([&segment, &torn, random = std::minstd_rand(seed + number)]() mutable {
      std::vector<StateBlock> blocks(64);
      std::vector<std::byte> marks(64);
      for (int round = 0; round < 10'000; ++round) {
        const std::size_t i = random() % blocks.size();
        const auto is_whole = [&](std::byte byte) { return byte == marks[i]; };
        if (!std::ranges::all_of(blocks[i].bytes(), is_whole)) ++torn;
        blocks[i] = segment.allocate(random() % 300 + 1, random());
        marks[i] = static_cast<std::byte>(random());
        std::ranges::fill(blocks[i].bytes(), marks[i]);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(segment.used_bytes(), 0U);
}

TEST(StateSegmentViewTest, ShowsNothingThatDoesNotLieInAnExtentItHas) {
  StateSegment segment(4 * kExtent);
  const StateBlock block = segment.allocate(16, 0);
  StateSegmentView view;
  EXPECT_FALSE(view.bytes(block.place(), 1));
  ASSERT_TRUE(view.add(0, segment.descriptor(0)));
  EXPECT_TRUE(view.has(0));
  EXPECT_FALSE(view.has(1));
  EXPECT_TRUE(view.bytes({.at = 0, .extent = 0}, kExtent));
  EXPECT_TRUE(view.bytes({.at = kExtent, .extent = 0}, 0));
  EXPECT_FALSE(view.bytes({.at = 1, .extent = 0}, kExtent));
  EXPECT_FALSE(view.bytes({.at = kExtent + 1, .extent = 0}, 0));
  EXPECT_FALSE(view.bytes({.at = 16, .extent = 0}, ~std::size_t{0}));
  EXPECT_FALSE(view.bytes({.at = 0, .extent = StatePlace::kByItself}, 1));
}

TEST(StateSegmentViewTest, RefusesAnExtentOfAnotherSize) {
  StateSegment segment(4 * kExtent);
  const StateBlock block = segment.allocate(kExtent + 1, 0);
  StateSegmentView view;
  const auto added = view.add(0, block.descriptor());
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, FaultKind::kViolation);
}

}  // namespace
}  // namespace dspool::ipc
