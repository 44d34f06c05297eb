#include "engine/session/tombstones.h"

#include <gtest/gtest.h>

#include <string>

namespace dspool::session {
namespace {

using std::chrono::minutes;

constexpr TimePoint kFirst{std::chrono::hours(100)};

TEST(TombstonesTest, AreThereForAnHour) {
  Tombstones tombstones;
  EXPECT_FALSE(tombstones.has("a", kFirst));
  tombstones.add("a", kFirst);
  EXPECT_TRUE(tombstones.has("a", kFirst + minutes(59)));
  EXPECT_FALSE(tombstones.has("a", kFirst + minutes(60)));
  EXPECT_FALSE(tombstones.has("b", kFirst));
}

TEST(TombstonesTest, TheLaterOneCounts) {
  Tombstones tombstones;
  tombstones.add("a", kFirst);
  tombstones.remove("a");
  EXPECT_FALSE(tombstones.has("a", kFirst));
  tombstones.add("a", kFirst + minutes(30));
  tombstones.add("b", kFirst + minutes(70));  // forgets the first of a
  EXPECT_TRUE(tombstones.has("a", kFirst + minutes(80)));
}

TEST(TombstonesTest, OldOnesTakeNoMemory) {
  Tombstones tombstones;
  for (int i = 0; i < 1000; ++i) tombstones.add(std::to_string(i), kFirst);
  EXPECT_EQ(tombstones.size(), 1000U);
  for (int i = 0; i < 500; ++i) tombstones.add("later-" + std::to_string(i), kFirst + minutes(60));
  EXPECT_EQ(tombstones.size(), 500U);
}

}  // namespace
}  // namespace dspool::session
