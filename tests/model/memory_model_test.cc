// The model of memory against what is known of C++'s: the litmus tests of the literature, each with
// exactly the outcomes that the standard allows.
#include <gmock/gmock.h>

#include <memory>
#include <set>
#include <utility>

#include "tests/model/atomic.h"
#include "tests/model/explored.h"

namespace dspool::model {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr auto kSeqCst = std::memory_order_seq_cst;

using Outcome = std::pair<std::uint32_t, std::uint32_t>;

struct Shared {
  Atomic<std::uint32_t> x = 0;
  Atomic<std::uint32_t> y = 0;
  std::uint32_t left = 0;
  std::uint32_t right = 0;
};

// What `left` and `right` can be when both threads have ended.
template <typename First, typename Second>
std::set<Outcome> outcomes(First first, Second second) {
  std::set<Outcome> found;
  const Verdict verdict = explore([&](Execution& execution) {
    const auto shared = std::make_shared<Shared>();
    execution.add_thread("first", [first, shared] { first(*shared); });
    execution.add_thread("second", [second, shared] { second(*shared); });
    execution.at_end([shared, &found] { found.emplace(shared->left, shared->right); });
  });
  EXPECT_EQ(verdict.failure, "");
  return found;
}

std::set<Outcome> store_buffering(std::memory_order store, std::memory_order load) {
  return outcomes(
      [=](Shared& shared) {
        shared.x.store(1, store);
        shared.left = shared.y.load(load);
      },
      [=](Shared& shared) {
        shared.y.store(1, store);
        shared.right = shared.x.load(load);
      });
}

std::set<Outcome> message_passing(std::memory_order store, std::memory_order load) {
  return outcomes(
      [=](Shared& shared) {
        shared.x.store(1, kRelaxed);
        shared.y.store(1, store);
      },
      [=](Shared& shared) {
        shared.left = shared.y.load(load);
        shared.right = shared.x.load(kRelaxed);
      });
}

TEST(MemoryModelTest, OnlySequentialConsistencyForbidsThatBothMissTheOthersStore) {
  EXPECT_THAT(store_buffering(kSeqCst, kSeqCst),
              UnorderedElementsAre(Outcome(0, 1), Outcome(1, 0), Outcome(1, 1)));
  EXPECT_THAT(store_buffering(kRelease, kSeqCst), Contains(Outcome(0, 0)));
  EXPECT_THAT(store_buffering(kSeqCst, kAcquire), Contains(Outcome(0, 0)));
  EXPECT_THAT(store_buffering(kRelaxed, kRelaxed), Contains(Outcome(0, 0)));
}

TEST(MemoryModelTest, AMessageIsWholeWhenItIsReleasedAndAcquired) {
  EXPECT_THAT(message_passing(kRelease, kAcquire),
              UnorderedElementsAre(Outcome(0, 0), Outcome(0, 1), Outcome(1, 1)));
  EXPECT_THAT(message_passing(kSeqCst, kSeqCst),
              UnorderedElementsAre(Outcome(0, 0), Outcome(0, 1), Outcome(1, 1)));
  EXPECT_THAT(message_passing(kRelaxed, kAcquire), Contains(Outcome(1, 0)));
  EXPECT_THAT(message_passing(kRelease, kRelaxed), Contains(Outcome(1, 0)));
}

TEST(MemoryModelTest, OneLocationNeverGoesBack) {
  const auto seen = outcomes(
      [](Shared& shared) {
        shared.x.store(1, kRelaxed);
        shared.x.store(2, kRelaxed);
      },
      [](Shared& shared) {
        shared.left = shared.x.load(kRelaxed);
        shared.right = shared.x.load(kRelaxed);
      });
  EXPECT_THAT(seen, UnorderedElementsAre(Outcome(0, 0), Outcome(0, 1), Outcome(0, 2), Outcome(1, 1),
                                         Outcome(1, 2), Outcome(2, 2)));
}

TEST(MemoryModelTest, AReadModifyWriteReadsTheNewestStore) {
  const auto add = [](std::uint32_t Shared::*old) {
    return [old](Shared& shared) { shared.*old = shared.x.fetch_add(1, kRelaxed); };
  };
  EXPECT_THAT(outcomes(add(&Shared::left), add(&Shared::right)),
              UnorderedElementsAre(Outcome(0, 1), Outcome(1, 0)));
}

// The second thread's exchange passes on what the first released.
TEST(MemoryModelTest, AReadModifyWriteContinuesARelease) {
  std::set<Outcome> found;
  explore([&](Execution& execution) {
    const auto shared = std::make_shared<Shared>();
    execution.add_thread("first", [shared] {
      shared->x.store(1, kRelaxed);
      shared->y.store(1, kRelease);
    });
    execution.add_thread("second", [shared] { shared->y.fetch_add(1, kRelaxed); });
    execution.add_thread("third", [shared] {
      shared->left = shared->y.load(kAcquire);
      shared->right = shared->x.load(kRelaxed);
    });
    execution.at_end([shared, &found] { found.emplace(shared->left, shared->right); });
  });
  EXPECT_THAT(found, Contains(Outcome(2, 1)));
  EXPECT_THAT(found, Not(Contains(Outcome(2, 0))));
}

// Two readers that disagree about which of two independent stores came first.
TEST(MemoryModelTest, ReadersAgreeOnIndependentStoresOnlyUnderSequentialConsistency) {
  const auto disagree = [](std::memory_order store, std::memory_order load) {
    bool disagreed = false;
    explore([&](Execution& execution) {
      const auto shared = std::make_shared<Shared>();
      const auto read = [load](const Atomic<std::uint32_t>& first,
                               const Atomic<std::uint32_t>& second) {
        const std::uint32_t newer = first.load(load);
        return newer == 1 && second.load(load) == 0 ? 1U : 0U;
      };
      execution.add_thread("x", [=] { shared->x.store(1, store); });
      execution.add_thread("y", [=] { shared->y.store(1, store); });
      execution.add_thread("xy", [=] { shared->left = read(shared->x, shared->y); });
      execution.add_thread("yx", [=] { shared->right = read(shared->y, shared->x); });
      execution.at_end([shared, &disagreed] {
        disagreed = disagreed || (shared->left == 1 && shared->right == 1);
      });
    });
    return disagreed;
  };
  EXPECT_FALSE(disagree(kSeqCst, kSeqCst));
  EXPECT_TRUE(disagree(kRelease, kAcquire));
}

TEST(MemoryModelTest, APlainAccessMustBeOrdered) {
  const auto race = [](std::memory_order store) {
    return explore([&](Execution& execution) {
      const auto shared = std::make_shared<Shared>();
      execution.add_thread("writer", [=, &execution] {
        execution.write_cells(0, 1);
        shared->x.store(1, store);
      });
      execution.add_thread("reader", [=, &execution] {
        if (shared->x.load(kAcquire) == 1) execution.read_cells(0, 1);
      });
    });
  };
  EXPECT_EQ(race(kRelease).failure, "");
  EXPECT_THAT(race(kRelaxed).failure, HasSubstr("bytes were read"));
}

TEST(MemoryModelTest, ASleeperThatNobodyWakesIsReported) {
  const Verdict verdict = explore([](Execution& execution) {
    const auto word = std::make_shared<Atomic<std::uint32_t>>(0);
    execution.add_thread("sleeper", [word] { futex_wait(*word, 0, std::chrono::seconds(1)); });
    execution.add_thread("waker", [word] { futex_wake_one(*word); });
  });
  EXPECT_THAT(verdict.failure, HasSubstr("sleeper sleeps for ever on word 0"));
}

}  // namespace
}  // namespace dspool::model
