// Going to sleep and being woken, on both sides. A wake-up that the engine loses shows as a bite of
// the watchdog; one that the worker loses shows as a missed ring, since its sleeps are bounded.
// Every test stops after kLongEnough: on a busy machine both sides wait for a core most of the
// time.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tests/ipc/channel_pair.h"
#include "tests/support/seed.h"

namespace dspool::ipc {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using Received = EngineChannel::Received;

constexpr std::chrono::seconds kLongEnough{6};

void spend(nanoseconds time) {
  const auto end = AdaptiveSpin::Clock::now() + time;
  while (AdaptiveSpin::Clock::now() < end) continue;
}

class ChannelDoorbellTest : public testing::Test {
 protected:
  void TearDown() override {
    engine_.reset();
    if (echo_.joinable()) echo_.join();
    EXPECT_EQ(worker_->missed_rings(), 0U);
  }

  // A worker that echoes until the engine is gone. `before_wait()` and `before_answer()` shift it
  // against the engine.
  template <typename BeforeWait, typename BeforeAnswer>
  void start_echo(BeforeWait before_wait, BeforeAnswer before_answer) {
    echo_ = std::thread([this, before_wait, before_answer]() mutable {
      before_wait();
      while (worker_->wait()) {
        while (const auto record = worker_->try_receive()) {
          while (!push(*worker_, record->header.request_id, record->body)) {
            const auto read_to = worker_->publish_full();
            if (!read_to || !worker_->wait_for_room(*read_to)) return;
          }
          worker_->release();
        }
        before_answer();
        worker_->publish();
        before_wait();
      }
    });
  }

  void start_sleepy_echo() {
    worker_->set_spin_limit(nanoseconds{0});
    start_echo([] {}, [] {});
  }

  bool has_time() const { return AdaptiveSpin::Clock::now() - start_ < kLongEnough; }

  void send(std::uint64_t id) {
    ASSERT_TRUE(push(*engine_, id, std::as_bytes(std::span(&id, 1))));
    publish_and_ring(*engine_);
  }

  void expect_answer(std::uint64_t id, Received received) {
    ASSERT_EQ(received, Received::kRecord);
    ASSERT_EQ(header_.request_id, id);
    ASSERT_EQ(std::memcmp(body_.data(), &id, sizeof id), 0);
  }

  Received receive_sleeping() { return receive_waiting(*engine_, header_, body_); }

  // Without ever sleeping, so that the worker has no time to.
  Received receive_looking() {
    const auto watchdog = AdaptiveSpin::Clock::now() + std::chrono::milliseconds{kWatchdogMs};
    auto received = engine_->receive(header_, body_);
    while (received == Received::kNothing && AdaptiveSpin::Clock::now() < watchdog) {
      received = engine_->receive(header_, body_);
    }
    return received;
  }

  const AdaptiveSpin::Clock::time_point start_ = AdaptiveSpin::Clock::now();
  ChannelPair pair_ = make_channel_pair();
  std::unique_ptr<EngineChannel>& engine_ = pair_.engine;
  std::unique_ptr<WorkerChannel>& worker_ = pair_.worker;
  std::thread echo_;
  RecordHeader header_{};
  std::vector<std::byte> body_;
};

TEST_F(ChannelDoorbellTest, IsDueWhileTheWorkerSleepsUntilItIsRung) {
  EXPECT_FALSE(engine_->publish()) << "nobody has gone to sleep yet";
  start_sleepy_echo();
  while (!engine_->publish()) std::this_thread::yield();
  EXPECT_TRUE(engine_->publish()) << "an announced sleep stays due";
  ASSERT_TRUE(push(*engine_, 1, {}));
  EXPECT_TRUE(engine_->publish());
  engine_->ring_worker();
  EXPECT_EQ(receive_sleeping(), Received::kRecord);
}

TEST_F(ChannelDoorbellTest, WakesBothSidesEveryTime) {
  start_sleepy_echo();
  for (std::uint64_t id = 1; id <= 50'000 && has_time(); ++id) {
    send(id);
    ASSERT_NO_FATAL_FAILURE(expect_answer(id, receive_sleeping()));
  }
}

// The next request comes while the worker is about to sleep, at any step of its protocol.
TEST_F(ChannelDoorbellTest, LosesNoRequestThatMeetsTheWorkerGoingToSleep) {
  std::mt19937_64 random(test::test_seed());
  start_sleepy_echo();
  for (std::uint64_t id = 1; id <= 200'000 && has_time(); ++id) {
    spend(nanoseconds{random() % 1500});
    send(id);
    ASSERT_NO_FATAL_FAILURE(expect_answer(id, receive_looking()));
  }
}

// The answer comes while the engine is about to sleep, at any step of its protocol.
TEST_F(ChannelDoorbellTest, LosesNoAnswerThatMeetsTheEngineGoingToSleep) {
  std::mt19937_64 random(test::test_seed());
  worker_->set_spin_limit(microseconds{20});
  start_echo([] {}, [random]() mutable { spend(nanoseconds{random() % 1500}); });
  for (std::uint64_t id = 1; id <= 100'000 && has_time(); ++id) {
    send(id);
    spend(nanoseconds{random() % 500});
    ASSERT_NO_FATAL_FAILURE(expect_answer(id, receive_sleeping()));
  }
}

TEST_F(ChannelDoorbellTest, LosesNothingWhateverBothSidesDo) {
  std::mt19937_64 random(test::test_seed());
  start_echo(
      [this, random]() mutable { worker_->set_spin_limit(nanoseconds{random() % 3 * 10'000}); },
      [random]() mutable { spend(nanoseconds{random() % 2000}); });
  for (std::uint64_t id = 1; id <= 50'000 && has_time(); ++id) {
    spend(nanoseconds{random() % 20'000});
    send(id);
    const bool sleeps = random() % 2 == 0;
    const auto received = sleeps ? receive_sleeping() : receive_looking();
    ASSERT_NO_FATAL_FAILURE(expect_answer(id, received));
  }
}

// Its limit would have it spin for an hour.
TEST_F(ChannelDoorbellTest, AfterACrowdedRecordTheWorkerSleepsAtOnce) {
  worker_->set_spin_limit(std::chrono::hours{1});
  start_echo([] {}, [] {});
  ASSERT_TRUE(engine_->try_reserve(0));
  engine_->commit(1, 1, true);
  publish_and_ring(*engine_);
  const auto watchdog = AdaptiveSpin::Clock::now() + std::chrono::milliseconds{kWatchdogMs};
  bool asleep = false;
  while (!asleep && AdaptiveSpin::Clock::now() < watchdog) asleep = engine_->publish();
  EXPECT_TRUE(asleep);
}

}  // namespace
}  // namespace dspool::ipc
