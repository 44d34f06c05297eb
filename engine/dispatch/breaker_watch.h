// What has become of the pool's circuit breakers since they were looked at last, for the log and
// for health.
//
// One thread at a time.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "dspool/circuit_breaker.h"
#include "dspool/config.h"

namespace dspool::dispatch {

class BreakerWatch {
 public:
  struct Change {
    LogLevel level = LogLevel::kInfo;
    std::string text{};
  };

  // What there is to tell of, given all breakers as they are now. One is closed until it is seen
  // otherwise.
  [[nodiscard]] std::vector<Change> look(const std::vector<BreakerInfo>& breakers);

 private:
  std::map<std::string, BreakerState> states_;  // of those that were not closed
};

// A reason for health, for each breaker that is not closed.
[[nodiscard]] std::vector<std::string> reasons_of(const std::vector<BreakerInfo>& breakers);

}  // namespace dspool::dispatch
