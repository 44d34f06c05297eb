#include "engine/telemetry/counter.h"

namespace dspool::telemetry {

std::size_t assign_shard() noexcept {
  static constinit std::atomic<std::size_t> next{0};
  return next.fetch_add(1, std::memory_order_relaxed) % kShards;
}

}  // namespace dspool::telemetry
