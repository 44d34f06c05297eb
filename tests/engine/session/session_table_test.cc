#include "engine/session/session_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/seed.h"

namespace dspool::session {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Counts its kind, so that a test sees whether each was destroyed.
class Named {
 public:
  Named(std::string_view name, std::atomic<int>& alive) : id_(name), alive_(alive) { ++alive_; }
  ~Named() { --alive_; }
  Named(const Named&) = delete;
  Named& operator=(const Named&) = delete;

  [[nodiscard]] std::string_view id() const noexcept { return id_; }

  SessionIndexHook index_hook;

 private:
  friend void intrusive_retain(Named* named) noexcept {
    named->references_.fetch_add(1, std::memory_order_relaxed);
  }
  friend void intrusive_release(Named* named) noexcept {
    if (named->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete named;
  }

  std::atomic<std::uint32_t> references_{0};
  std::string id_;
  std::atomic<int>& alive_;
};

using Table = BasicSessionTable<Named>;
using Ref = Table::Ref;

class SessionTableTest : public testing::Test {
 protected:
  std::pair<Ref, bool> find_or_create(std::string_view id) {
    return table_.find_or_create(id, [&] { return Ref(new Named(id, alive_)); });
  }
  void fill(std::initializer_list<std::string_view> ids) {
    for (const std::string_view id : ids) find_or_create(id);
  }

  std::atomic<int> alive_{0};
  Table table_;
};

TEST_F(SessionTableTest, FindsWhatWasCreated) {
  EXPECT_FALSE(table_.find("a"));
  const auto [created, is_new] = find_or_create("a");
  EXPECT_TRUE(is_new);
  EXPECT_EQ(created->id(), "a");
  EXPECT_EQ(table_.find("a"), created);
  EXPECT_FALSE(table_.find("b"));
  EXPECT_EQ(table_.size(), 1U);
}

TEST_F(SessionTableTest, CreatesAnIdOnce) {
  const Ref first = find_or_create("a").first;
  const auto [second, is_new] = table_.find_or_create("a", []() -> Ref {
    ADD_FAILURE() << "it exists";
    return nullptr;
  });
  EXPECT_FALSE(is_new);
  EXPECT_EQ(second, first);
}

TEST_F(SessionTableTest, DoesNotLookIntoTheCallersId) {
  std::string id(100, 'x');
  find_or_create(id);
  const std::string copy = id;
  id.assign(100, 'y');
  EXPECT_TRUE(table_.find(copy));
  EXPECT_FALSE(table_.find(id));
}

TEST_F(SessionTableTest, TakesAnyBytesAsAnId) {
  const std::string_view with_zero("a\0b", 3);
  fill({with_zero, "a", "\xff\xfe"});
  EXPECT_EQ(table_.find(with_zero)->id(), with_zero);
  EXPECT_EQ(table_.find("a")->id(), "a");
  EXPECT_THAT(table_.list("", 10), ElementsAre("a", with_zero, "\xff\xfe"));
}

TEST_F(SessionTableTest, AFoundSessionOutlivesItsEntry) {
  find_or_create("a");
  const Ref found = table_.find("a");
  EXPECT_TRUE(table_.erase(*found));
  EXPECT_FALSE(table_.find("a"));
  EXPECT_EQ(table_.size(), 0U);
  EXPECT_EQ(found->id(), "a");
}

TEST_F(SessionTableTest, HoldsItsSessionsAsLongAsItLives) {
  {
    Table table;
    for (const std::string_view id : {"a", "b"}) {
      table.find_or_create(id, [&] { return Ref(new Named(id, alive_)); });
    }
    EXPECT_EQ(alive_, 2);
  }
  EXPECT_EQ(alive_, 0);
}

TEST_F(SessionTableTest, ErasesOnlyTheObjectThatTheIdStandsFor) {
  const Ref old = find_or_create("a").first;
  EXPECT_TRUE(table_.erase(*old));
  EXPECT_FALSE(table_.erase(*old));
  const Ref successor = find_or_create("a").first;
  EXPECT_FALSE(table_.erase(*old));
  EXPECT_EQ(table_.find("a"), successor);
  EXPECT_THAT(table_.list("", 10), ElementsAre("a"));
}

TEST_F(SessionTableTest, ListsInOrderPageByPage) {
  fill({"delta", "alpha", "charlie", "bravo"});
  EXPECT_THAT(table_.list("", 2), ElementsAre("alpha", "bravo"));
  EXPECT_THAT(table_.list("bravo", 2), ElementsAre("charlie", "delta"));
  EXPECT_THAT(table_.list("bz", 1), ElementsAre("charlie"));
  EXPECT_THAT(table_.list("delta", 2), IsEmpty());
  EXPECT_THAT(table_.list("", 0), IsEmpty());
}

TEST_F(SessionTableTest, KeepsEveryEntryWhileItGrows) {
  constexpr int kMany = 20'000;
  for (int i = 0; i < kMany; ++i) find_or_create("session-" + std::to_string(i));
  EXPECT_EQ(table_.size(), static_cast<std::size_t>(kMany));
  for (int i = 0; i < kMany; ++i) {
    const std::string id = "session-" + std::to_string(i);
    const Ref found = table_.find(id);
    ASSERT_TRUE(found);
    ASSERT_EQ(found->id(), id);
  }
}

// Threads create, find, erase and list the same few ids. What a finder gets must carry the id that
// it asked for; of those who find an id missing at once, one creates it; a listing is sorted and
// names nothing twice; and in the end table, index and living objects agree.
TEST_F(SessionTableTest, StaysConsistentUnderConcurrentChanges) {
  constexpr int kThreads = 4;
  constexpr int kSteps = 20'000;
  constexpr std::uint64_t kIds = 64;
  const std::uint64_t seed = test::test_seed();
  std::atomic<int> created{0};
  std::atomic<int> erased{0};
  const auto work = [&](std::uint64_t number) {
    std::mt19937_64 random(seed + number);
    for (int step = 0; step < kSteps; ++step) {
      // Some short, some too long for a string's own buffer.
      const std::uint64_t pick = random() % kIds;
      std::string id = std::to_string(pick);
      if (pick % 2 == 0) id += "-a-session-with-a-rather-long-name";
      switch (random() % 8) {
        case 0:
        case 1: {
          int made = 0;
          const auto [ref, is_new] = table_.find_or_create(id, [&] {
            ++made;
            return Ref(new Named(id, alive_));
          });
          ASSERT_EQ(ref->id(), id);
          ASSERT_EQ(made, is_new ? 1 : 0);
          created += made;
          break;
        }
        case 2:
        case 3:
          if (const Ref found = table_.find(id)) erased += table_.erase(*found) ? 1 : 0;
          break;
        case 4: {
          const std::vector<std::string> ids = table_.list(id, 16);
          ASSERT_TRUE(std::ranges::is_sorted(ids, std::ranges::less_equal())) << "or repeats one";
          ASSERT_TRUE(ids.empty() || ids.front() > id);
          break;
        }
        default:
          if (const Ref found = table_.find(id)) {
            ASSERT_EQ(found->id(), id);
          }
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    threads.reserve(kThreads);
    for (std::uint64_t i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
  }
  const std::vector<std::string> ids = table_.list("", kIds);
  EXPECT_EQ(ids.size(), table_.size());
  EXPECT_EQ(created - erased, static_cast<int>(table_.size()));
  EXPECT_EQ(alive_, static_cast<int>(table_.size()));
  for (const std::string& id : ids) EXPECT_TRUE(table_.find(id)) << id;
}

// A page's last session may be gone when the next page is asked for.
TEST_F(SessionTableTest, AListingGoesOnAfterAnIdThatHasEnded) {
  fill({"a-1", "a-2", "a-3", "a-4", "b"});
  const std::vector<std::string> page = table_.list("", 2, "a-");
  ASSERT_THAT(page, ElementsAre("a-1", "a-2"));
  table_.erase(*table_.find("a-2"));
  table_.erase(*table_.find("a-3"));
  EXPECT_THAT(table_.list(page.back(), 2, "a-"), ElementsAre("a-4"));
}

// While threads create and erase others, whatever is there throughout is listed once each time.
// Ids that come and go lie between those that stay, so pages begin and end at them.
TEST_F(SessionTableTest, AListingMissesNothingThatStaysAndRepeatsNothing) {
  constexpr int kThreads = 3;
  constexpr int kStaying = 100;
  constexpr int kListings = 200;
  constexpr std::size_t kPage = 7;
  const std::uint64_t seed = test::test_seed();
  std::set<std::string> staying;
  for (int i = 0; i < kStaying; ++i) staying.insert("chat-" + std::to_string(i) + "-stays");
  for (const std::string& id : staying) find_or_create(id);
  fill({"bot", "chas", "chau"});
  std::atomic<bool> done{false};
  std::atomic<int> changes{0};
  const auto change = [&](std::uint64_t number) {
    std::mt19937_64 random(seed + number);
    while (!done) {
      const std::string id = "chat-" + std::to_string(random() % kStaying);
      const auto [made, is_new] = find_or_create(id);
      if (random() % 2 == 0) changes += table_.erase(*made) ? 1 : 0;
    }
  };
  std::vector<std::jthread> threads;
  threads.reserve(kThreads);
  for (std::uint64_t i = 0; i < kThreads; ++i) threads.emplace_back(change, i);
  while (changes == 0) std::this_thread::yield();
  for (int listing = 0; listing < kListings; ++listing) {
    std::vector<std::string> ids;
    for (;;) {
      const auto page = table_.list(ids.empty() ? "" : ids.back(), kPage, "chat-");
      EXPECT_LE(page.size(), kPage);
      ids.insert(ids.end(), page.begin(), page.end());
      if (page.size() < kPage) break;
    }
    EXPECT_TRUE(std::ranges::is_sorted(ids, std::ranges::less_equal())) << "or repeats one";
    EXPECT_TRUE(std::ranges::all_of(ids, [](const auto& id) { return id.starts_with("chat-"); }));
    EXPECT_TRUE(std::ranges::includes(ids, staying)) << "one that stays is missing";
  }
  done = true;
}

// All threads want the same new id at once, again and again, and whoever makes it gives way to the
// others: one object is made each time.
TEST_F(SessionTableTest, RacingCreatorsGetOneObject) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 500;
  std::atomic<int> made{0};
  std::barrier round_begins(kThreads);
  const auto work = [&] {
    for (int round = 0; round < kRounds; ++round) {
      round_begins.arrive_and_wait();
      const std::string id = std::to_string(round);
      table_.find_or_create(id, [&] {
        ++made;
        std::this_thread::yield();
        return Ref(new Named(id, alive_));
      });
    }
  };
  {
    std::vector<std::jthread> threads(kThreads);
    for (std::jthread& thread : threads) thread = std::jthread(work);
  }
  EXPECT_EQ(made, kRounds);
  EXPECT_EQ(table_.size(), static_cast<std::size_t>(kRounds));
}

}  // namespace
}  // namespace dspool::session
