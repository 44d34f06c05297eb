#include "engine/dispatch/seating.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace dspool::dispatch {
namespace {

constexpr auto kLowerNumber = [](std::uint32_t a, std::uint32_t b) { return a < b; };

TEST(SeatingTest, HasNobodyWhereNobodyHasRoom) {
  std::minstd_rand random(1);
  Seating seating(3);
  EXPECT_FALSE(seating.any());
  EXPECT_EQ(seating.better_of_two(random, kLowerNumber), std::nullopt);
  seating.set(1, Room::kSome);
  EXPECT_TRUE(seating.any());
  seating.set(1, Room::kNone);
  EXPECT_FALSE(seating.any());
}

TEST(SeatingTest, PrefersTheIdle) {
  std::minstd_rand random(1);
  Seating seating(10);
  for (std::uint32_t i = 0; i < 10; ++i) seating.set(i, Room::kSome);
  seating.set(7, Room::kIdle);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seating.better_of_two(random, kLowerNumber), 7U);
}

TEST(SeatingTest, TakesTheBetterOfTwoThatDiffer) {
  std::minstd_rand random(1);
  Seating seating(10);
  for (std::uint32_t i = 0; i < 10; ++i) seating.set(i, Room::kIdle);
  std::map<std::uint32_t, int> taken;
  for (int i = 0; i < 10'000; ++i) ++taken[*seating.better_of_two(random, kLowerNumber)];
  EXPECT_EQ(taken.count(9), 0U);  // it is never the better one
  EXPECT_EQ(taken.size(), 9U);
  EXPECT_NEAR(taken[0], 2'000, 200);  // one of two of ten
  EXPECT_NEAR(taken[8], 222, 100);
}

TEST(SeatingTest, KnowsWhoHasRoomAfterAnyChanges) {
  constexpr std::uint32_t kWorkers = 20;
  std::minstd_rand random(3);
  Seating seating(kWorkers);
  std::map<std::uint32_t, Room> rooms;
  for (int change = 0; change < 20'000; ++change) {
    const auto worker = static_cast<std::uint32_t>(random()) % kWorkers;
    const auto room = static_cast<Room>(random() % 3);
    seating.set(worker, room);
    rooms[worker] = room;
    std::set<std::uint32_t> idle;
    std::set<std::uint32_t> some;
    for (const auto& [each, its] : rooms) {
      if (its == Room::kIdle) idle.insert(each);
      if (its == Room::kSome) some.insert(each);
    }
    const auto& expected = idle.empty() ? some : idle;
    const auto picked = seating.better_of_two(random, kLowerNumber);
    ASSERT_EQ(picked.has_value(), !expected.empty());
    if (picked) {
      ASSERT_TRUE(expected.contains(*picked));
    }
  }
}

}  // namespace
}  // namespace dspool::dispatch
