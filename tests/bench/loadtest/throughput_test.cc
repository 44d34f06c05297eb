#include "bench/loadtest/throughput.h"

#include <gtest/gtest.h>

namespace dspool::loadtest {
namespace {

using std::chrono::milliseconds;

// One each so often, in the time from `from` to `to`.
void succeed(Throughput& throughput, milliseconds from, milliseconds to, milliseconds every) {
  for (milliseconds at = from; at < to; at += every) throughput.succeeded(at);
}

TEST(Throughput, IsBackWhenAsManySucceedAsBefore) {
  Throughput throughput;
  succeed(throughput, milliseconds(0), milliseconds(5'000), milliseconds(5));
  succeed(throughput, milliseconds(5'000), milliseconds(5'800), milliseconds(10));
  succeed(throughput, milliseconds(5'800), milliseconds(7'000), milliseconds(5));
  // One slow piece of ten is the twentieth part that may be missing.
  EXPECT_EQ(throughput.recovery_after(milliseconds(5'000)), milliseconds(750));
}

TEST(Throughput, IsNotBackWhileALittleLess) {
  Throughput throughput;
  succeed(throughput, milliseconds(0), milliseconds(2'000), milliseconds(9));
  succeed(throughput, milliseconds(2'000), milliseconds(9'000), milliseconds(10));
  EXPECT_EQ(throughput.recovery_after(milliseconds(2'000)), std::nullopt);
}

TEST(Throughput, MayNotHaveFallen) {
  Throughput throughput;
  succeed(throughput, milliseconds(0), milliseconds(4'000), milliseconds(5));
  EXPECT_EQ(throughput.recovery_after(milliseconds(2'000)), milliseconds(0));
}

// What began slowly long before the blow is not what it was "before".
TEST(Throughput, IsComparedWithWhatItWasJustBefore) {
  Throughput throughput;
  succeed(throughput, milliseconds(0), milliseconds(1'000), milliseconds(50));
  succeed(throughput, milliseconds(1'000), milliseconds(3'000), milliseconds(5));
  succeed(throughput, milliseconds(3'000), milliseconds(9'000), milliseconds(10));
  EXPECT_EQ(throughput.recovery_after(milliseconds(3'000)), std::nullopt);
}

TEST(Throughput, IsNotKnownWhereNothingHappened) {
  Throughput throughput;
  EXPECT_EQ(throughput.recovery_after(milliseconds(100)), std::nullopt);
  succeed(throughput, milliseconds(500), milliseconds(2'000), milliseconds(5));
  EXPECT_EQ(throughput.recovery_after(milliseconds(100)), std::nullopt);
  EXPECT_EQ(throughput.recovery_after(milliseconds(60'000)), std::nullopt);
}

}  // namespace
}  // namespace dspool::loadtest
