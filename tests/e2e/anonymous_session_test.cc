// Anonymous calls by the hundred thousand, many in flight: neither the engine nor a worker keeps
// anything of them.
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <semaphore>
#include <string>
#include <vector>

#include "tests/e2e/pool.h"
#include "tests/support/held_resources.h"
#include "tests/support/private_memory.h"

namespace dspool {
namespace {

using testing::IsEmpty;

TEST(AnonymousSessionTest, ManyLeaveNothingInTheEngineOrItsWorkers) {
  constexpr int kWarmUp = 10'000;
  constexpr int kCalls = 100'000;
  constexpr std::ptrdiff_t kInFlight = 64;
  constexpr std::size_t kHistoryEvents = 1'000;
  // Far less than a session each would take: 454 bytes here, and an object in the worker.
  constexpr std::size_t kSomeKib = 8 * 1024;
  Config config = test::pool_config(2);
  config.history_events = kHistoryEvents;
  config.session.ttl = std::chrono::milliseconds(0);
  // What completions use outlives the engine.
  std::counting_semaphore<kInFlight> room(kInFlight);
  std::atomic<int> wrong{0};
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  const std::string long_text(100'000, 'x');
  const auto call_often = [&](int times) {
    for (int i = 0; i < times; ++i) {
      room.acquire();
      const bool is_long = i % 1'000 == 0;
      engine->submit("", is_long ? "append" : "increment",
                     is_long ? Value{{"item", long_text}} : Value(),
                     [&](const Result<Answer>& answer) {
                       // Each finds a session without a field.
                       if (!answer || answer->value.as_int64() != 1) ++wrong;
                       room.release();
                     });
    }
    for (std::ptrdiff_t i = 0; i < kInFlight; ++i) room.acquire();
    room.release(kInFlight);
  };
  const auto kib_of_all = [&] {
    std::vector<std::size_t> kib{test::private_kib()};
    for (const WorkerHealth& worker : engine->health_check().workers) {
      kib.push_back(test::private_kib(std::to_string(worker.pid)));
    }
    return kib;
  };
  call_often(kWarmUp);
  const test::HeldResources held = test::held_resources();
  const std::vector<std::size_t> kib = kib_of_all();
  call_often(kCalls);

  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(test::held_resources(), held);
  const std::vector<std::size_t> kib_after = kib_of_all();
  ASSERT_EQ(kib_after.size(), kib.size());
  for (std::size_t i = 0; i < kib.size(); ++i) {
    EXPECT_TRUE(test::kAllocatorKeepsMemory || kib_after[i] <= kib[i] + kSomeKib)
        << (i == 0 ? "the engine's " : "a worker's ") << kib[i] << " KiB have become "
        << kib_after[i];
  }
  const Stats stats = engine->stats();
  EXPECT_EQ(stats.active_sessions, 0U);
  EXPECT_EQ(stats.waiting_calls, 0U);
  EXPECT_EQ(stats.attempts_in_flight, 0U);
  EXPECT_EQ(stats.commits, 0U);
  EXPECT_EQ(stats.hydrations, 0U);
  EXPECT_EQ(stats.expired_sessions, 0U);
  EXPECT_THAT(*engine->list_sessions(), IsEmpty());
  EXPECT_LE(engine->history().events.size(), kHistoryEvents);
}

}  // namespace
}  // namespace dspool
