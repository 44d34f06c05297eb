// Which workers there are to be, under simulated time: orders are carried out when a test says so,
// or by a world in which each takes a random time and workers die.
#include "engine/dispatch/fleet.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/seed.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using OrderKind = FleetOrder::Kind;

constexpr TimePoint kStart{std::chrono::hours(1)};
constexpr FleetLoad kQuiet{};

FleetOrder order(OrderKind kind, std::uint32_t place, MigrationReason reason = {}) {
  return {.kind = kind, .place = place, .reason = reason};
}

FleetTerms terms(std::uint32_t overflow = 0, std::uint32_t spares = 0) {
  FleetTerms terms;
  terms.places = 64;
  terms.overflow = overflow;
  terms.spares = spares;
  return terms;
}

// All of its first places are ready.
Fleet ready_fleet(const FleetTerms& terms, std::uint32_t target) {
  Fleet fleet(terms, target);
  for (std::uint32_t i = 0; i < target; ++i) fleet.ready(i, kStart);
  EXPECT_THAT(fleet.step(kQuiet, kStart), IsEmpty());
  return fleet;
}

TEST(FleetTest, StartsWhatIsMissingAfterAResize) {
  Fleet fleet = ready_fleet(terms(), 2);
  fleet.resize(4);
  EXPECT_FALSE(fleet.reached_target());
  EXPECT_THAT(fleet.step(kQuiet, kStart),
              ElementsAre(order(OrderKind::kStart, 2), order(OrderKind::kStart, 3)));
  EXPECT_THAT(fleet.step(kQuiet, kStart), IsEmpty());
  fleet.ready(2, kStart);
  fleet.ready(3, kStart);
  EXPECT_TRUE(fleet.reached_target());
}

TEST(FleetTest, EmptiesTheLastOnesBeforeTheyEnd) {
  Fleet fleet = ready_fleet(terms(), 3);
  fleet.resize(1);
  EXPECT_FALSE(fleet.reached_target());
  EXPECT_THAT(fleet.step(kQuiet, kStart),
              ElementsAre(order(OrderKind::kEmpty, 2, MigrationReason::kResize),
                          order(OrderKind::kEmpty, 1, MigrationReason::kResize)));
  EXPECT_FALSE(fleet.reached_target());
  fleet.emptied(1);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kEnd, 1)));
  EXPECT_FALSE(fleet.reached_target());
  fleet.emptied(2);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kEnd, 2)));
  EXPECT_TRUE(fleet.reached_target());
  EXPECT_EQ(fleet.state(1), PlaceState::kLeaving);
  fleet.vacated(1);
  EXPECT_EQ(fleet.state(1), PlaceState::kEmpty);
}

// Those that are not ready yet are given up first.
TEST(FleetTest, EndsAStartThatIsNotWantedAnyMore) {
  Fleet fleet = ready_fleet(terms(), 1);
  fleet.resize(2);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kStart, 1)));
  fleet.resize(1);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kEnd, 1)));
}

// It became ready, and got work, before the end of its start could be carried out.
TEST(FleetTest, AStartThatIsEndedTooLateIsEmptiedFirst) {
  Fleet fleet = ready_fleet(terms(), 1);
  fleet.resize(2);
  (void)fleet.step(kQuiet, kStart);
  fleet.resize(1);
  ASSERT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kEnd, 1)));
  fleet.found_busy(1);
  EXPECT_FALSE(fleet.reached_target());
  EXPECT_THAT(fleet.step(kQuiet, kStart), IsEmpty());
  fleet.emptied(1);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kEnd, 1)));
  EXPECT_TRUE(fleet.reached_target());
  fleet.vacated(1);
  EXPECT_EQ(fleet.state(1), PlaceState::kEmpty);
}

TEST(FleetTest, APlaceIsUsedAgainOnlyOnceItsProcessIsGone) {
  Fleet fleet = ready_fleet(terms(), 2);
  fleet.resize(1);
  (void)fleet.step(kQuiet, kStart);
  fleet.emptied(1);
  (void)fleet.step(kQuiet, kStart);
  fleet.resize(2);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kStart, 2)));
  fleet.vacated(1);
  fleet.resize(3);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kStart, 1)));
}

TEST(FleetTest, OneThatDiesWhileItIsEmptiedIsEmpty) {
  Fleet fleet = ready_fleet(terms(), 2);
  fleet.resize(1);
  (void)fleet.step(kQuiet, kStart);
  fleet.lost(1);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kEnd, 1)));
}

// ---- overflow ----

TEST(FleetTest, StartsOverflowForThoseWhoHaveWaitedAWhile) {
  Fleet fleet = ready_fleet(terms(3), 1);
  const FleetLoad load{.waiting = 5, .busy = 1};
  EXPECT_THAT(fleet.step(load, kStart), IsEmpty());
  EXPECT_EQ(fleet.next_step(), kStart + milliseconds(10));
  EXPECT_THAT(fleet.step(load, kStart + milliseconds(9)), IsEmpty());
  EXPECT_THAT(fleet.step(load, kStart + milliseconds(10)),
              ElementsAre(order(OrderKind::kStart, 1), order(OrderKind::kStart, 2)));
  EXPECT_THAT(fleet.step(load, kStart + seconds(1)), IsEmpty()) << "two at a time";
  fleet.ready(1, kStart + seconds(1));
  EXPECT_THAT(fleet.step(load, kStart + seconds(1)), ElementsAre(order(OrderKind::kStart, 3)));
  fleet.ready(2, kStart + seconds(1));
  fleet.ready(3, kStart + seconds(1));
  EXPECT_THAT(fleet.step(load, kStart + seconds(2)), IsEmpty()) << "no more than configured";
  EXPECT_FALSE(fleet.heeds_waiting());
}

TEST(FleetTest, AMomentOfWaitingStartsNobody) {
  Fleet fleet = ready_fleet(terms(3), 1);
  EXPECT_THAT(fleet.step({.waiting = 1, .busy = 1}, kStart), IsEmpty());
  EXPECT_THAT(fleet.step(kQuiet, kStart + milliseconds(5)), IsEmpty());
  EXPECT_THAT(fleet.step({.waiting = 1, .busy = 1}, kStart + milliseconds(10)), IsEmpty());
}

TEST(FleetTest, OverflowLeavesAMinuteAfterItWasNeededLast) {
  Fleet fleet = ready_fleet(terms(1), 1);
  const FleetLoad load{.waiting = 1, .busy = 1};
  (void)fleet.step(load, kStart);
  TimePoint now = kStart + milliseconds(10);
  EXPECT_THAT(fleet.step(load, now), ElementsAre(order(OrderKind::kStart, 1)));
  fleet.ready(1, now);
  now += seconds(59);
  EXPECT_THAT(fleet.step({.waiting = 0, .busy = 2}, now), IsEmpty()) << "it is needed";
  now += seconds(59);
  EXPECT_THAT(fleet.step({.waiting = 0, .busy = 1}, now), IsEmpty());
  now += seconds(1);
  EXPECT_EQ(fleet.next_step(), now);
  EXPECT_THAT(fleet.step({.waiting = 0, .busy = 1}, now),
              ElementsAre(order(OrderKind::kEmpty, 1, MigrationReason::kResize)));
  EXPECT_EQ(fleet.overflow(), 0U);
}

// ---- spares ----

TEST(FleetTest, ASpareRestsUntilCallersWait) {
  Fleet fleet(terms(2, 1), 1);
  fleet.ready(0, kStart);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kStart, 1)));
  fleet.ready(1, kStart);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kRest, 1)));
  EXPECT_EQ(fleet.resting(), 1U);
  EXPECT_THAT(fleet.step({.waiting = 1, .busy = 1}, kStart),
              ElementsAre(order(OrderKind::kStart, 2), order(OrderKind::kServe, 1)))
      << "at once, and another is its successor";
}

TEST(FleetTest, ASpareTakesThePlaceOfOneThatDied) {
  Fleet fleet(terms(0, 1), 1);
  fleet.ready(0, kStart);
  (void)fleet.step(kQuiet, kStart);
  fleet.ready(1, kStart);
  (void)fleet.step(kQuiet, kStart);
  fleet.lost(0);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kServe, 1)));
  fleet.ready(0, kStart);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kRest, 1)));
}

// ---- replacement ----

TEST(FleetTest, TheReplacementIsReadyBeforeTheOldOneLeaves) {
  FleetTerms recycling = terms();
  recycling.max_requests = 100;
  Fleet fleet = ready_fleet(recycling, 2);
  fleet.used(0, 99, 0);
  EXPECT_THAT(fleet.step(kQuiet, kStart), IsEmpty());
  fleet.used(0, 100, 0);
  fleet.used(1, 100, 0);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kStart, 2)))
      << "one at a time";
  EXPECT_THAT(fleet.step(kQuiet, kStart + seconds(9)), IsEmpty());
  fleet.ready(2, kStart);
  EXPECT_THAT(fleet.step(kQuiet, kStart),
              ElementsAre(order(OrderKind::kEmpty, 1, MigrationReason::kRecycle)));
  EXPECT_THAT(fleet.step(kQuiet, kStart), IsEmpty()) << "the other waits until this one is gone";
  fleet.emptied(1);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kEnd, 1)));
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kStart, 3)));
  EXPECT_EQ(fleet.recycled(), 1U);
}

TEST(FleetTest, ATenthIsReplacedAtATime) {
  FleetTerms recycling = terms();
  recycling.max_memory_bytes = 1000;
  Fleet fleet = ready_fleet(recycling, 30);
  for (std::uint32_t i = 0; i < 30; ++i) fleet.used(i, 0, 1000);
  EXPECT_EQ(fleet.step(kQuiet, kStart).size(), 3U);
  EXPECT_EQ(fleet.count(PlaceState::kStarting), 3U);
}

TEST(FleetTest, ReplacesByAge) {
  FleetTerms recycling = terms();
  recycling.max_age = seconds(100);
  Fleet fleet = ready_fleet(recycling, 1);
  EXPECT_EQ(fleet.next_step(), kStart + seconds(100));
  EXPECT_THAT(fleet.step(kQuiet, kStart + seconds(99)), IsEmpty());
  EXPECT_THAT(fleet.step(kQuiet, kStart + seconds(100)), ElementsAre(order(OrderKind::kStart, 1)));
}

TEST(FleetTest, OneThatWasToBeReplacedAndDiedIsReplacedByThat) {
  FleetTerms recycling = terms();
  recycling.max_requests = 1;
  Fleet fleet = ready_fleet(recycling, 1);
  fleet.used(0, 1, 0);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kStart, 1)));
  fleet.lost(0);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kEnd, 1)));
}

TEST(FleetTest, AnEvacuatedWorkerIsReplacedAndADrainedOneIsNot) {
  Fleet fleet = ready_fleet(terms(), 3);
  fleet.evacuate(0);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kStart, 3)));
  fleet.ready(3, kStart);
  EXPECT_THAT(fleet.step(kQuiet, kStart),
              ElementsAre(order(OrderKind::kEmpty, 0, MigrationReason::kEvacuate)));
  ASSERT_TRUE(fleet.can_drain(1));
  fleet.drain(1);
  EXPECT_THAT(fleet.step(kQuiet, kStart),
              ElementsAre(order(OrderKind::kEmpty, 1, MigrationReason::kDrain)));
  EXPECT_EQ(fleet.target(), 2U);
  EXPECT_FALSE(fleet.can_drain(1)) << "it is leaving";
  fleet.drain(2);
  EXPECT_FALSE(fleet.can_drain(3)) << "it is the last";
}

TEST(FleetTest, OneThatIsDrainedTwiceLeavesOnce) {
  Fleet fleet = ready_fleet(terms(), 3);
  fleet.drain(1);
  ASSERT_TRUE(fleet.can_drain(1));
  fleet.drain(1);
  EXPECT_EQ(fleet.target(), 2U);
  EXPECT_THAT(fleet.step(kQuiet, kStart),
              ElementsAre(order(OrderKind::kEmpty, 1, MigrationReason::kDrain)));
}

// One that is to be replaced anyway makes the pool smaller, and is waited for all the same.
TEST(FleetTest, TheTargetIsReachedWhenAWornOneHasLeftForIt) {
  FleetTerms wearing = terms();
  wearing.max_requests = 10;
  Fleet fleet = ready_fleet(wearing, 3);
  fleet.used(1, 10, 0);
  fleet.resize(2);
  EXPECT_FALSE(fleet.reached_target()) << "nobody has begun to leave";
  EXPECT_THAT(fleet.step(kQuiet, kStart),
              ElementsAre(order(OrderKind::kEmpty, 1, MigrationReason::kRecycle)));
  EXPECT_FALSE(fleet.reached_target());
  fleet.emptied(1);
  EXPECT_THAT(fleet.step(kQuiet, kStart), ElementsAre(order(OrderKind::kEnd, 1)));
  EXPECT_TRUE(fleet.reached_target());
}

TEST(FleetTest, AReplacementUnderWayKeepsNobodyWaiting) {
  FleetTerms wearing = terms();
  wearing.max_requests = 10;
  Fleet fleet = ready_fleet(wearing, 2);
  fleet.used(0, 10, 0);
  (void)fleet.step(kQuiet, kStart);
  fleet.ready(2, kStart);
  EXPECT_THAT(fleet.step(kQuiet, kStart),
              ElementsAre(order(OrderKind::kEmpty, 0, MigrationReason::kRecycle)));
  EXPECT_TRUE(fleet.reached_target());
}

// ---- whatever happens ----

// A world that carries orders out after a random time, in which workers die and callers come and
// go, and somebody has wishes.
class World {
 public:
  World(const FleetTerms& terms, std::uint32_t target, std::uint64_t seed)
      : terms_(terms),
        random_(static_cast<std::minstd_rand::result_type>(seed)),
        fleet_(terms, target) {
    for (std::uint32_t i = 0; i < target; ++i) alive_[i] = Process::kStarting;
  }

  void run(int steps, bool troubled) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      now_ += milliseconds(1 + below(200));
      if (troubled) wish();
      happen(troubled);
      const FleetLoad load = troubled ? some_load() : FleetLoad{};
      for (const FleetOrder& each : fleet_.step(load, now_)) carry_out(each);
      check();
    }
  }
  [[nodiscard]] Fleet& fleet() { return fleet_; }
  [[nodiscard]] TimePoint now() const { return now_; }
  void pass(milliseconds time) { now_ += time; }

 private:
  enum class Process { kStarting, kReady, kEmptying, kEnding };

  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_()) % bound; }
  bool chance(std::uint32_t one_in) { return below(one_in) == 0; }
  FleetLoad some_load() {
    if (chance(3)) crowd_ = below(12);
    return {.waiting = crowd_, .busy = fleet_.count(PlaceState::kServing)};
  }
  std::uint32_t some_place() { return below(terms_.places); }

  void wish() {
    if (chance(20)) fleet_.resize(1 + below(12));
    if (chance(20)) {
      if (const auto place = some_place(); fleet_.can_drain(place)) fleet_.drain(place);
    }
    if (chance(20)) {
      const auto place = some_place();
      if (fleet_.state(place) == PlaceState::kServing) fleet_.evacuate(place);
    }
    if (chance(10)) fleet_.used(some_place(), below(2000), 0);
  }

  void happen(bool troubled) {
    std::vector<std::uint32_t> places;
    places.reserve(alive_.size());
    for (const auto& [place, process] : alive_) places.push_back(place);
    for (const std::uint32_t place : places) {
      Process& process = alive_[place];
      if (troubled && process != Process::kEnding && chance(30)) {  // dies, and comes back
        fleet_.lost(place);
        if (process != Process::kEmptying) process = Process::kStarting;
        continue;
      }
      if (!chance(3)) continue;
      if (process == Process::kStarting) {
        fleet_.ready(place, now_);
        process = Process::kReady;
      } else if (process == Process::kEmptying) {
        fleet_.emptied(place);
      } else if (process == Process::kEnding) {
        fleet_.vacated(place);
        alive_.erase(place);
      }
    }
  }

  void carry_out(const FleetOrder& each) {
    const auto found = alive_.find(each.place);
    switch (each.kind) {
      case OrderKind::kStart:
        EXPECT_EQ(found, alive_.end()) << "place " << each.place << " is taken";
        alive_[each.place] = Process::kStarting;
        break;
      case OrderKind::kRest:
      case OrderKind::kServe:
        ASSERT_NE(found, alive_.end());
        EXPECT_EQ(found->second, Process::kReady);
        break;
      case OrderKind::kEmpty:
        ASSERT_NE(found, alive_.end());
        EXPECT_EQ(found->second, Process::kReady);
        found->second = Process::kEmptying;
        break;
      case OrderKind::kEnd:
        ASSERT_NE(found, alive_.end());
        EXPECT_NE(found->second, Process::kReady) << "it was not emptied";
        EXPECT_NE(found->second, Process::kEnding) << "a second time";
        found->second = Process::kEnding;
        break;
    }
  }

  void check() {
    std::uint32_t live = 0;
    for (std::uint32_t i = 0; i < terms_.places; ++i) {
      const PlaceState state = fleet_.state(i);
      EXPECT_EQ(state != PlaceState::kEmpty, alive_.contains(i)) << "place " << i << " is lost";
      if (state == PlaceState::kStarting || state == PlaceState::kServing) ++live;
    }
    EXPECT_LE(live, fleet_.most_live());
    EXPECT_LE(fleet_.overflow(), terms_.overflow);
    EXPECT_LE(fleet_.resting(), terms_.spares);
  }

  const FleetTerms terms_;
  std::minstd_rand random_;
  Fleet fleet_;
  TimePoint now_ = kStart;
  std::map<std::uint32_t, Process> alive_;
  std::uint32_t crowd_ = 0;
};

TEST(FleetTest, KeepsItsBoundsAndComesToItsTargetWhateverHappens) {
  const std::uint64_t first = test::test_seed();
  for (std::uint64_t seed = first; seed < first + 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    FleetTerms all =
        terms(static_cast<std::uint32_t>(seed % 5), static_cast<std::uint32_t>(seed % 3));
    all.places = 40;
    all.max_requests = 1000;
    World world(all, 1 + static_cast<std::uint32_t>(seed % 7), seed);
    world.run(400, true);
    world.run(50, false);
    world.pass(all.stay);
    world.run(400, false);
    Fleet& fleet = world.fleet();
    EXPECT_TRUE(fleet.reached_target());
    EXPECT_EQ(fleet.count(PlaceState::kServing), fleet.target() + all.spares);
    EXPECT_EQ(fleet.resting(), all.spares);
    EXPECT_EQ(fleet.overflow(), 0U);
    for (const auto state : {PlaceState::kStarting, PlaceState::kEmptying, PlaceState::kLeaving}) {
      EXPECT_EQ(fleet.count(state), 0U);
    }
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace dspool::dispatch
