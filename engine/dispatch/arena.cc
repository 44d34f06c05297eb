#include "engine/dispatch/arena.h"

namespace dspool::dispatch {

Arena::Arena() : arena_(/*max_concurrency=*/1, /*reserved_for_masters=*/0) {
  constexpr auto kThreads = tbb::global_control::max_allowed_parallelism;
  if (tbb::global_control::active_value(kThreads) < 2) second_thread_.emplace(kThreads, 2);
}

Arena::~Arena() {
  for (auto left = pending_.load(std::memory_order_acquire); left != 0;
       left = pending_.load(std::memory_order_acquire)) {
    pending_.wait(left, std::memory_order_acquire);
  }
}

}  // namespace dspool::dispatch
