// What does it cost to get one record through a ring? Both ends are in one thread: the price of
// moving cache lines between cores and of waking somebody is in the round trips.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
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

}  // namespace
}  // namespace dspool::bench
