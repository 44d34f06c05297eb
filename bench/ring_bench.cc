// What does it cost to get one record through a ring? Within one thread, and from one to another;
// the price of waking somebody is in the round trips.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "bench/latencies.h"
#include "ipc/layout.h"
#include "ipc/ring.h"

namespace dspool::bench {
namespace {

struct alignas(ipc::kRecordAlignment) Unit {
  std::byte bytes[ipc::kRecordAlignment];
};

constexpr std::size_t kRingBytes = std::size_t{1} << 20;
static_assert(kRingBytes >= ipc::kMinRingBytes);

void BM_Ring_PushPop(benchmark::State& state) {
  const std::vector<std::byte> body(static_cast<std::size_t>(state.range(0)), std::byte{42});
  const auto length = static_cast<std::uint32_t>(body.size());
  std::vector<Unit> memory(kRingBytes / sizeof(Unit));
  const std::span bytes(memory.front().bytes, kRingBytes);
  ipc::Line<std::uint64_t> tail{};
  ipc::Line<std::uint64_t> head{};
  ipc::Producer producer(tail.value, head.value, bytes);
  ipc::Consumer consumer(head.value, tail.value, bytes);
  std::vector<std::byte> received;
  Latencies::time_in_batches(state, [&] {
    const auto place = producer.try_reserve(length);
    std::memcpy(place->data(), body.data(), length);
    producer.commit(1, 1);
    producer.publish();
    const auto record = consumer.peek();
    received.assign(record->body.begin(), record->body.end());
    consumer.release();
    benchmark::DoNotOptimize(received.data());
    benchmark::ClobberMemory();
  });
  state.SetBytesProcessed(state.iterations() * length);
}
BENCHMARK(BM_Ring_PushPop)->ArgName("bytes")->Arg(64)->Arg(1024);

// From one thread to another: with two cores, what a channel can carry in one direction.
void BM_Ring_OneWay(benchmark::State& state) {
  const std::vector<std::byte> body(static_cast<std::size_t>(state.range(0)), std::byte{42});
  const auto length = static_cast<std::uint32_t>(body.size());
  std::vector<Unit> memory(kRingBytes / sizeof(Unit));
  const std::span bytes(memory.front().bytes, kRingBytes);
  ipc::Line<std::uint64_t> tail{};
  ipc::Line<std::uint64_t> head{};
  std::atomic<bool> stopping{false};
  std::thread sender([&] {
    ipc::Producer producer(tail.value, head.value, bytes);
    while (!stopping.load(std::memory_order_relaxed)) {
      const auto place = producer.try_reserve(length);
      if (!place) {
        std::this_thread::yield();
        continue;
      }
      std::memcpy(place->data(), body.data(), length);
      producer.commit(1, 1);
      producer.publish();
    }
  });
  ipc::Consumer consumer(head.value, tail.value, bytes);
  std::vector<std::byte> received;
  Latencies::time_in_batches(state, [&] {
    auto record = consumer.peek();
    for (; !record; record = consumer.peek()) std::this_thread::yield();
    received.assign(record->body.begin(), record->body.end());
    consumer.release();
    benchmark::DoNotOptimize(received.data());
    benchmark::ClobberMemory();
  });
  stopping.store(true, std::memory_order_relaxed);
  sender.join();
  state.SetBytesProcessed(state.iterations() * length);  // shown per second
}
BENCHMARK(BM_Ring_OneWay)->ArgName("bytes")->Arg(64)->Arg(1024)->Arg(65'536)->UseRealTime();

}  // namespace
}  // namespace dspool::bench
