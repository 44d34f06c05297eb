// Rings that are dropped on purpose. Every sleep is bounded, and a sleeper that finds something
// after one that nobody ended has missed a ring: it goes on, and tells. (That no ring is missed
// otherwise is shown by tests/model, and by ChannelDoorbellTest between real threads.)
#include "ipc/doorbell.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tests/ipc/channel_pair.h"
#include "tests/support/seed.h"

namespace dspool::ipc {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kItems = 2000;

// A ringer here, a sleeper in a thread of its own. What is sent is a count.
class DoorbellTest : public testing::Test {
 protected:
  void start_sleeper(milliseconds longest) {
    thread_ = std::thread([this, longest] {
      for (std::uint64_t seen = 0; seen < kItems;) {
        const auto nothing_there = [&] { return sent_.load(std::memory_order_seq_cst) == seen; };
        if (nothing_there()) sleeper_.sleep(nothing_there, longest);
        seen = sent_.load(std::memory_order_seq_cst);
        seen_.store(seen, std::memory_order_release);
      }
    });
  }

  // Returns whether a ring was due.
  bool send(std::uint64_t item, bool drops_the_ring) {
    sent_.store(item, std::memory_order_seq_cst);
    const bool is_due = ringer_.is_due();
    if (is_due && !drops_the_ring) ringer_.ring();
    return is_due;
  }

  void await_seen(std::uint64_t item) {
    while (seen_.load(std::memory_order_acquire) != item) std::this_thread::yield();
  }

  std::atomic<std::uint32_t> sleeping_ = 0;
  std::atomic<std::uint32_t> doorbell_ = 0;
  Sleeper sleeper_{sleeping_, doorbell_};
  Ringer ringer_{doorbell_, sleeping_};
  std::atomic<std::uint64_t> sent_ = 0;
  std::atomic<std::uint64_t> seen_ = 0;
  std::thread thread_;
};

TEST_F(DoorbellTest, NothingIsLostAndRingsAreMissedWhereTheyAreDropped) {
  std::mt19937_64 random(test::test_seed());
  std::uint64_t dropped = 0;
  start_sleeper(milliseconds{2});
  for (std::uint64_t item = 1; item <= kItems; ++item) {
    const bool drops = random() % 8 == 0;
    if (send(item, drops) && drops) ++dropped;
    await_seen(item);
  }
  thread_.join();
  std::cout << dropped << " rings dropped, " << sleeper_.missed_rings() << " missed\n";
  EXPECT_GT(sleeper_.missed_rings(), 0U);
}

TEST_F(DoorbellTest, NoRingIsMissedWhereNoneIsDropped) {
  start_sleeper(std::chrono::hours{1});
  for (std::uint64_t item = 1; item <= kItems; ++item) {
    send(item, false);
    await_seen(item);
  }
  thread_.join();
  EXPECT_EQ(sleeper_.missed_rings(), 0U);
}

// A sleeper that is caught by its last look misses nothing, so that it may take a few.
TEST(ChannelMissedRingTest, AWorkerThatIsNotRungGoesOnAndTells) {
  ChannelPair pair = make_channel_pair();
  std::atomic<std::uint64_t> received = 0;
  pair.worker->set_spin_limit(std::chrono::nanoseconds{0});
  std::thread worker([&] {
    while (pair.worker->wait()) {
      pair.worker->release();
      received.fetch_add(1);
    }
  });
  std::uint64_t sent = 0;
  while (pair.worker->missed_rings() == 0) {
    while (!pair.engine->publish()) std::this_thread::yield();  // until it announces a sleep
    ASSERT_TRUE(push(*pair.engine, 1, {}));
    [[maybe_unused]] const bool is_due = pair.engine->publish();  // and is not rung
    ++sent;
    while (received.load() != sent) std::this_thread::yield();
  }
  pair.engine.reset();
  worker.join();
}

}  // namespace
}  // namespace dspool::ipc
