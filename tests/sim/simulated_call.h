// A call of the simulation's callers, which keep all of theirs to compare what they were told.
#pragma once

#include <cstdint>
#include <string>

#include "engine/dispatch/call.h"

namespace dspool::sim {

struct SimulatedCall : dispatch::Call {
  Value owned_args;
  std::string session_name;
  std::string key;
  bool ended = false;
  bool reads = false;  // its turn to read fields has come
  std::uint32_t times_ended = 0;
  dispatch::TimePoint ended_at;
};

// Whether it did what it was asked will never be told.
[[nodiscard]] inline bool is_unknown(const SimulatedCall& call) {
  return call.result && !call.result->has_value() &&
         call.result->error().state_applied == StateApplied::kUnknown;
}

}  // namespace dspool::sim
