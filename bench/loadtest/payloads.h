// Bytes that go with each operation of a load test, and must come back as they went.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/loadtest/schedule.h"
#include "dspool/value.h"

namespace dspool::loadtest {

class Payloads {
 public:
  // A few different ones of this many random bytes.
  Payloads(std::size_t bytes, std::uint64_t seed);

  // {"payload": bytes}
  [[nodiscard]] const Value& args(const Start& start) const { return at(start).args; }
  // Whether the answer has the "crc32" of what was sent, as the worker summed it, and "payload" as
  // it was sent.
  [[nodiscard]] bool came_back(const Start& start, const ValueView& answer) const;

 private:
  struct Payload {
    Value args;
    std::uint32_t crc32;
  };

  [[nodiscard]] const Payload& at(const Start& start) const;

  std::vector<Payload> payloads_;
};

}  // namespace dspool::loadtest
