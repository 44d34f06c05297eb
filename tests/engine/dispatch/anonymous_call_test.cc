// An anonymous call has a session for as long as it lasts. A million of them, some given up while
// they run and some with long arguments, leave nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "ipc/payload.h"
#include "tests/engine/dispatch/stepped_pool.h"
#include "tests/support/private_memory.h"

namespace dspool::dispatch {
namespace {

constexpr std::uint64_t kWarmUp = 10'000;
// A sanitizer needs no million to find what is left, and takes very long for one.
constexpr std::uint64_t kMany = test::kAllocatorKeepsMemory ? 100'000 : 1'000'000;
constexpr std::size_t kHistoryEvents = 1'000;
// One byte a call would be as much.
constexpr std::size_t kSomeKib = 1'000;

TEST(AnonymousCallTest, AMillionLeaveNothingBehind) {
  ipc::StateSegment segment(std::size_t{64} << 20);
  SteppedArchive archive(segment);
  SteppedPool pool(segment, &archive, kHistoryEvents);
  pool.ttl = std::chrono::seconds(1);
  const auto payloads =
      ipc::PayloadStore::create(std::size_t{16} * ipc::PayloadStore::kSlotBytes).value();
  const std::vector<std::byte> long_args(100'000);
  const auto call_often = [&](std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) {
      SteppedCall call;
      pool.prepare(call, {});
      if (i % 100 == 0) call.long_args = payloads->place(long_args).value();
      ASSERT_TRUE(pool.dispatcher().arrive(call, pool.now()));
      if (i % 10 == 0) pool.dispatcher().cancel(call, pool.now());
      pool.answer_all();
      ASSERT_EQ(call.times_ended, 1U);
    }
  };
  call_often(kWarmUp);
  const std::size_t reserved_bytes = segment.reserved_bytes();
  const std::size_t kib = test::private_kib();
  call_often(kMany);

  EXPECT_EQ(pool.metrics().ended_by(SessionEnd::kTemporary).value(), kWarmUp + kMany);
  EXPECT_EQ(pool.sessions().size(), 0U);
  EXPECT_EQ(pool.tombstones().size(), 0U);
  EXPECT_EQ(archive.under_way(), 0U);
  EXPECT_EQ(archive.store().sessions(), 0U);
  EXPECT_EQ(segment.used_bytes(), 0U);
  EXPECT_EQ(segment.reserved_bytes(), reserved_bytes);
  EXPECT_EQ(payloads->free_slots(), 16U);
  EXPECT_EQ(pool.dispatcher().in_flight(), 0U);
  EXPECT_EQ(pool.dispatcher().waiting_calls(), 0U);
  EXPECT_FALSE(pool.dispatcher().next_timer(pool.now()).has_value()) << "a timer is armed";
  EXPECT_LE(pool.history().events.size(), kHistoryEvents);
  const std::size_t kib_after = test::private_kib();
  EXPECT_TRUE(test::kAllocatorKeepsMemory || kib_after <= kib + kSomeKib)
      << kib << " KiB have become " << kib_after;
}

}  // namespace
}  // namespace dspool::dispatch
