#include "engine/telemetry/counter.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace dspool::telemetry {
namespace {

TEST(CounterTest, SumsWhatAllThreadsAdd) {
  constexpr std::uint64_t kThreads = 2 * kShards + 1;  // some share a shard
  constexpr std::uint64_t kAdds = 1'000;
  Counter counter;
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (std::uint64_t n = 0; n < kAdds; ++n) counter.add();
        counter.add(5);
      });
    }
  }
  EXPECT_EQ(counter.value(), kThreads * (kAdds + 5));
}

TEST(CounterTest, ThreadsGetShardsOfTheirOwn) {
  const std::size_t here = this_thread_shard();
  EXPECT_EQ(this_thread_shard(), here);
  std::size_t there = here;
  std::jthread([&] { there = this_thread_shard(); }).join();
  EXPECT_NE(there, here);
}

TEST(GaugeTest, GoesUpAndDown) {
  Gauge gauge;
  gauge.add(3);
  gauge.add(-1);
  EXPECT_EQ(gauge.value(), 2);
  gauge.set(7);
  EXPECT_EQ(gauge.value(), 7);
}

}  // namespace
}  // namespace dspool::telemetry
