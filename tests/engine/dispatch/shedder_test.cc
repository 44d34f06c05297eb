#include "engine/dispatch/shedder.h"

#include <gtest/gtest.h>

namespace dspool::dispatch {
namespace {

using session::TimePoint;
using std::chrono::milliseconds;

constexpr milliseconds kServiceTime{20};

class ShedderTest : public testing::Test {
 protected:
  // Sessions get slots after this wait, one a millisecond.
  void serve(milliseconds wait, milliseconds during) {
    for (const TimePoint end = now_ + during; now_ < end; now_ += milliseconds(1)) {
      shedder_.served(wait, kServiceTime, now_);
    }
  }

  Shedder shedder_;
  TimePoint now_{std::chrono::hours(1)};
};

TEST_F(ShedderTest, LetsABurstWait) {
  for (int i = 0; i < 100; ++i) {
    serve(milliseconds(500), milliseconds(40));
    serve(milliseconds(10), milliseconds(2));
    ASSERT_FALSE(shedder_.overloaded());
  }
}

TEST_F(ShedderTest, LetsAShortQueueStandForEver) {
  serve(milliseconds(99), std::chrono::minutes(1));
  EXPECT_FALSE(shedder_.overloaded());
}

TEST_F(ShedderTest, SeesAWaitThatDoesNotFall) {
  serve(milliseconds(101), milliseconds(50));
  EXPECT_FALSE(shedder_.overloaded());
  serve(milliseconds(101), milliseconds(2));
  EXPECT_TRUE(shedder_.overloaded());
}

TEST_F(ShedderTest, IsOverloadedForAsLongAsItShedsAndNoLonger) {
  serve(milliseconds(200), milliseconds(60));
  serve(milliseconds(25), std::chrono::minutes(1));  // what is left waits for almost the bound
  EXPECT_TRUE(shedder_.overloaded());
  serve(milliseconds(0), milliseconds(100));
  EXPECT_TRUE(shedder_.overloaded());
  serve(milliseconds(0), milliseconds(2));
  EXPECT_FALSE(shedder_.overloaded());
}

TEST_F(ShedderTest, ScalesWithTheServiceTime) {
  EXPECT_EQ(Shedder::onset(milliseconds(0)), milliseconds(100));
  EXPECT_EQ(Shedder::onset(std::chrono::seconds(2)), std::chrono::seconds(8));
  EXPECT_EQ(Shedder::interval(milliseconds(0)), milliseconds(50));
  EXPECT_EQ(Shedder::interval(std::chrono::seconds(2)), std::chrono::seconds(4));
  EXPECT_EQ(Shedder::bound(milliseconds(0)), milliseconds(30));
  EXPECT_EQ(Shedder::bound(std::chrono::seconds(2)), std::chrono::seconds(3));
}

}  // namespace
}  // namespace dspool::dispatch
