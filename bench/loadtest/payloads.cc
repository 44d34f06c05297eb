#include "bench/loadtest/payloads.h"

#include <algorithm>
#include <boost/crc.hpp>
#include <random>

namespace dspool::loadtest {
namespace {

// No two operations that follow each other have the same, so that a mix-up shows.
constexpr std::size_t kDifferentOnes = 16;

std::vector<std::byte> random_bytes(std::size_t count, std::mt19937_64& random) {
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

}  // namespace

Payloads::Payloads(std::size_t bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  payloads_.reserve(kDifferentOnes);
  for (std::size_t i = 0; i < kDifferentOnes; ++i) {
    const auto payload = random_bytes(bytes, random);
    boost::crc_32_type sum;
    sum.process_bytes(payload.data(), payload.size());
    payloads_.push_back({.args = Value{{"payload", payload}}, .crc32 = sum.checksum()});
  }
}

bool Payloads::came_back(const Start& start, const ValueView& answer) const {
  const Payload& sent = at(start);
  return answer["crc32"].as_int64() == sent.crc32 &&
         std::ranges::equal(answer["payload"].as_bytes(), sent.args["payload"].as_bytes());
}

const Payloads::Payload& Payloads::at(const Start& start) const {
  return payloads_[(start.session + start.index) % payloads_.size()];
}

}  // namespace dspool::loadtest
