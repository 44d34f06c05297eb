// What the simulated commands make of a session: `increment` puts "value" and appends it to "log".
#pragma once

#include <cstdint>

#include "engine/session/record.h"

namespace dspool::sim {

[[nodiscard]] inline std::uint64_t value_of(const session::Record& record) {
  const session::Field* field = record.find("value");
  if (field == nullptr) return 0;
  return static_cast<std::uint64_t>(field->value().as_int64());
}

[[nodiscard]] inline bool is_consistent(const session::Record& record) {
  const session::Field* log = record.find("log");
  return value_of(record) == (log != nullptr ? log->value().size() : 0);
}

}  // namespace dspool::sim
