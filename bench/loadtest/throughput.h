// How many operations have succeeded in each short piece of time, and how long it took after a blow
// until they were as many as before.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace dspool::loadtest {

class Throughput {
 public:
  static constexpr std::chrono::milliseconds kPiece{50};
  // What is compared: the mean of so long before the blow, and of each so long after it.
  static constexpr std::chrono::milliseconds kBefore{2'000};
  static constexpr std::chrono::milliseconds kAfter{500};
  static constexpr double kShare = 0.95;

  void succeeded(std::chrono::nanoseconds at);

  // From the blow to the begin of the first kAfter in which there were kShare as many as before.
  // Nothing: there was none, or nothing had succeeded before.
  [[nodiscard]] std::optional<std::chrono::milliseconds> recovery_after(
      std::chrono::nanoseconds blow) const;

 private:
  std::vector<std::uint32_t> pieces_;
};

}  // namespace dspool::loadtest
