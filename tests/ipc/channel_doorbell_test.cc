// Going to sleep and being woken, on both sides. A lost wake-up shows as a watchdog's bite on the
// engine's side, and as a missed ring on the worker's, where naps are bounded.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/ipc/channel_pair.h"
#include "tests/support/seed.h"

namespace dspool::ipc {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

class ChannelDoorbellTest : public testing::Test {
 protected:
  void TearDown() override {
    engine_.reset();
    if (echo_.joinable()) echo_.join();
    EXPECT_EQ(worker_->missed_rings(), 0U);
  }

  // A worker that echoes until the engine is gone, choosing before each wait how long to spin.
  template <typename SpinLimit>
  void start_echo(SpinLimit spin_limit) {
    echo_ = std::thread([this, spin_limit]() mutable {
      worker_->set_spin_limit(spin_limit());
      while (worker_->wait()) {
        while (const auto record = worker_->try_receive()) {
          while (!push(*worker_, record->header.request_id, record->body)) {
            if (!worker_->wait_for_room()) return;
          }
          worker_->release();
        }
        worker_->publish();
        worker_->set_spin_limit(spin_limit());
      }
    });
  }

  // Sends batches of `batch()` requests and sleeps for their answers; `idle()` goes before each.
  template <typename Batch, typename Idle>
  void ping_pong(std::uint64_t requests, Batch batch, Idle idle) {
    std::uint64_t sent = 0;
    std::uint64_t answered = 0;
    while (answered < requests) {
      idle();
      for (auto left = batch(); left > 0; --left) {
        ++sent;
        ASSERT_TRUE(push(*engine_, sent, std::as_bytes(std::span(&sent, 1))));
      }
      publish_and_ring(*engine_);
      while (answered < sent) {
        ASSERT_EQ(receive_waiting(*engine_, header_, body_), EngineChannel::Received::kRecord);
        ASSERT_EQ(header_.request_id, ++answered);
        ASSERT_EQ(std::memcmp(body_.data(), &answered, sizeof answered), 0);
      }
    }
  }

  ChannelPair pair_ = make_channel_pair();
  std::unique_ptr<EngineChannel>& engine_ = pair_.engine;
  std::unique_ptr<WorkerChannel>& worker_ = pair_.worker;
  std::thread echo_;
  RecordHeader header_{};
  std::vector<std::byte> body_;
};

TEST_F(ChannelDoorbellTest, IsDueWhileTheWorkerSleepsUntilItIsRung) {
  EXPECT_FALSE(engine_->publish()) << "nobody has gone to sleep yet";
  start_echo([] { return nanoseconds{0}; });
  while (!engine_->publish()) std::this_thread::yield();
  EXPECT_TRUE(engine_->publish()) << "an announced sleep stays due";
  ASSERT_TRUE(push(*engine_, 1, {}));
  EXPECT_TRUE(engine_->publish());
  engine_->ring_worker();
  EXPECT_EQ(receive_waiting(*engine_, header_, body_), EngineChannel::Received::kRecord);
}

TEST_F(ChannelDoorbellTest, WakesASleepingWorkerEveryTime) {
  start_echo([] { return nanoseconds{0}; });
  ping_pong(
      100'000, [] { return 1; }, [] {});
}

// The engine idles for up to 40 us, so that requests meet the worker in every phase of its wait.
TEST_F(ChannelDoorbellTest, LosesNoWakeUpInAnyPhaseOfAWait) {
  const std::uint64_t seed = test::test_seed();
  std::mt19937_64 random(seed);
  std::mt19937_64 worker_random(seed + 1);
  start_echo([&worker_random] {
    return worker_random() % 2 == 0 ? nanoseconds{0} : microseconds{worker_random() % 30};
  });
  ping_pong(
      100'000, [&] { return 1 + random() % 8; },
      [&] {
        const auto end = AdaptiveSpin::Clock::now() + nanoseconds{random() % 40'000};
        while (AdaptiveSpin::Clock::now() < end) continue;
      });
}

}  // namespace
}  // namespace dspool::ipc
