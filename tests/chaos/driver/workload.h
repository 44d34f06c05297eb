// What goes on in the pool while faults strike: callers that use a few sessions at once, in every
// way that there is, and write down what they are told.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "tests/chaos/driver/caller.h"

namespace dspool::chaos {

class Workload {
 public:
  struct Terms {
    std::uint64_t seed = 1;
    std::uint32_t callers = 4;
    std::uint32_t sessions = 12;
  };

  // Begins at once. `caller` outlives *this.
  Workload(Caller& caller, const Terms& terms);
  ~Workload();
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  [[nodiscard]] static std::vector<std::string> names(std::uint32_t sessions);

  // No call begins any more; those that have begun go on.
  void stop() noexcept { over_ = true; }
  // Callers that have not come back from their last call.
  [[nodiscard]] std::uint32_t at_work() const noexcept { return at_work_; }

 private:
  void work(std::uint64_t seed);

  Caller& caller_;
  const std::vector<std::string> sessions_;
  std::atomic<bool> over_ = false;
  std::atomic<std::uint32_t> at_work_;
  std::vector<std::thread> callers_;
};

}  // namespace dspool::chaos
