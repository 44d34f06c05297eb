#include "ipc/adaptive_spin.h"

#include <gtest/gtest.h>

namespace dspool::ipc {
namespace {

using std::chrono::nanoseconds;

constexpr auto kNever = [] { return false; };

class AdaptiveSpinTest : public testing::Test {
 protected:
  // How often a spin in vain looks.
  int looks() {
    int count = 0;
    EXPECT_FALSE(spin_.spin([&] {
      ++count;
      return false;
    }));
    return count;
  }

  void unlearn() {
    while (spin_.budget().count() > 0) EXPECT_FALSE(spin_.spin(kNever));
  }

  AdaptiveSpin spin_;
};

TEST_F(AdaptiveSpinTest, SpendsNothingOnWhatIsThereAlready) {
  unlearn();
  EXPECT_TRUE(spin_.spin([] { return true; }));
  EXPECT_EQ(spin_.budget().count(), 0) << "nothing was learned, either";
}

TEST_F(AdaptiveSpinTest, LooksMoreThanOnce) { EXPECT_GT(looks(), 1); }

TEST_F(AdaptiveSpinTest, LooksOnceWhenItsLimitIsZero) {
  spin_.set_limit(nanoseconds{0});
  for (std::uint32_t wait = 0; wait < 2 * AdaptiveSpin::kProbeInterval; ++wait) {
    EXPECT_EQ(looks(), 1);
  }
}

TEST_F(AdaptiveSpinTest, HalvesItsBudgetWithEveryFailure) {
  EXPECT_FALSE(spin_.spin(kNever));
  EXPECT_EQ(spin_.budget(), AdaptiveSpin::kDefaultLimit / 2);
  EXPECT_FALSE(spin_.spin(kNever));
  EXPECT_EQ(spin_.budget(), AdaptiveSpin::kDefaultLimit / 4);
}

TEST_F(AdaptiveSpinTest, RestoresItsBudgetWithASuccess) {
  EXPECT_FALSE(spin_.spin(kNever));
  int count = 0;
  EXPECT_TRUE(spin_.spin([&] { return ++count == 2; }));
  EXPECT_EQ(spin_.budget(), AdaptiveSpin::kDefaultLimit);
}

TEST_F(AdaptiveSpinTest, LearnsAgainFromAProbe) {
  unlearn();
  for (std::uint32_t wait = 1; wait < AdaptiveSpin::kProbeInterval; ++wait) ASSERT_EQ(looks(), 1);
  int count = 0;
  EXPECT_TRUE(spin_.spin([&] { return ++count == 2; })) << "this one is a probe";
  EXPECT_EQ(spin_.budget(), AdaptiveSpin::kDefaultLimit);
}

}  // namespace
}  // namespace dspool::ipc
