// Health, asked of the workers themselves: each is pinged through its ring and must answer, or be
// busy with a call that it still has time for. Nothing answers in a worker's place.
//
// A worker that has not answered a ping yet gets no other.
// Threads: any.
// Lock order: mutex_ -> the gate's.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "dspool/stats.h"
#include "engine/dispatch/gate.h"
#include "engine/dispatch/waker.h"

namespace dspool::dispatch {

class Prober {
 public:
  // Who has nothing to do and answers no ping for so long is silent.
  static constexpr std::chrono::seconds kSilence{5};

  // `worker_names` and `pool_size`, how many are to be ready, outlive *this.
  Prober(Gate& gate, const Waker& reactor, std::span<const std::string> worker_names,
         const std::atomic<std::uint32_t>& pool_size);

  // Pings every worker, and waits for nobody.
  void ask();
  // The same, then waits until all have answered or are busy, for `patience` at most; who has not
  // by then is silent. On the reactor, which reads the pongs, and without patience, it is `judge`.
  // Fills everything but the statistics, as does:
  Health probe(std::chrono::milliseconds patience);
  // What is known without asking.
  [[nodiscard]] Health judge();

 private:
  struct Asked {
    std::uint64_t epoch = 0;  // 0: never
    std::uint64_t ping = 0;
    TimePoint at{};
  };

  [[nodiscard]] Health judge(std::chrono::milliseconds silence);
  [[nodiscard]] bool is_awaited();
  [[nodiscard]] Asked asked_of(std::uint32_t slot);

  Gate& gate_;
  const Waker& reactor_;
  std::span<const std::string> names_;
  const std::atomic<std::uint32_t>& pool_size_;
  std::atomic<std::uint64_t> pings_{worker::kReadinessPing};

  std::mutex mutex_;          // guards what follows
  std::vector<Asked> asked_;  // by worker
};

}  // namespace dspool::dispatch
