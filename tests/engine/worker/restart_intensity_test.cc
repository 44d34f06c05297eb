#include "engine/worker/restart_intensity.h"

#include <gtest/gtest.h>

namespace dspool::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr RestartIntensity::TimePoint kStart{std::chrono::hours(1)};

class RestartIntensityTest : public testing::Test {
 protected:
  void die(int times, std::uint32_t wanted = 1) {
    for (int i = 0; i < times; ++i) intensity_.died(now_, wanted);
  }

  RestartIntensity::TimePoint now_ = kStart;
  RestartIntensity intensity_{{.most = 3, .window = seconds(60)}};
};

TEST_F(RestartIntensityTest, IsExhaustedByTooManyDeathsWithinTheWindow) {
  die(2);
  EXPECT_FALSE(intensity_.is_exhausted());
  EXPECT_EQ(intensity_.may_start_at(now_), now_);
  die(1);
  EXPECT_TRUE(intensity_.is_exhausted());
  EXPECT_EQ(intensity_.deaths(), 3U);
}

TEST_F(RestartIntensityTest, ForgetsDeathsThatAreOlderThanTheWindow) {
  for (int i = 0; i < 20; ++i) {
    die(1);
    now_ += seconds(30);
  }
  EXPECT_FALSE(intensity_.is_exhausted());
}

TEST_F(RestartIntensityTest, CountsTheDeathsOfAllWorkersTogether) {
  die(11, 4);
  EXPECT_FALSE(intensity_.is_exhausted());
  die(1, 4);
  EXPECT_TRUE(intensity_.is_exhausted());
}

TEST_F(RestartIntensityTest, WithoutABoundIsNeverExhausted) {
  RestartIntensity unbounded({.most = 0, .window = seconds(60)});
  for (int i = 0; i < 1000; ++i) unbounded.died(now_, 1);
  EXPECT_FALSE(unbounded.is_exhausted());
}

TEST_F(RestartIntensityTest, LetsOneTryEachWindowThen) {
  die(3);
  EXPECT_EQ(intensity_.may_start_at(now_ + milliseconds(100)), now_ + seconds(60));
  EXPECT_EQ(intensity_.may_start_at(now_ + seconds(61)), now_ + seconds(61))
      << "not before it is due";
  now_ += seconds(60);
  intensity_.started(now_);
  EXPECT_EQ(intensity_.may_start_at(now_), now_ + seconds(60)) << "the next one waits";
  die(1);
  EXPECT_TRUE(intensity_.is_exhausted());
  EXPECT_EQ(intensity_.may_start_at(now_), now_ + seconds(60));
}

TEST_F(RestartIntensityTest, OneThatIsReadyEndsIt) {
  die(3);
  now_ += seconds(60);
  intensity_.started(now_);
  intensity_.ready();
  EXPECT_FALSE(intensity_.is_exhausted());
  EXPECT_EQ(intensity_.may_start_at(now_), now_);
}

// Ready is not yet whole: the deaths before still count.
TEST_F(RestartIntensityTest, OneThatIsReadyAndDiesAtOnceBringsItBack) {
  die(3);
  intensity_.ready();
  die(1);
  EXPECT_TRUE(intensity_.is_exhausted());
}

TEST_F(RestartIntensityTest, WhoAsksForAnotherTryGetsAllOfThem) {
  die(3);
  intensity_.ask_again();
  EXPECT_EQ(intensity_.may_start_at(now_), now_);
  die(2);
  EXPECT_FALSE(intensity_.is_exhausted());
}

}  // namespace
}  // namespace dspool::worker
