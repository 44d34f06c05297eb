// Changes the pool while it works: every so often it is resized, a worker is drained or evacuated,
// a session is moved, or the warm sessions are evened out, in an order that a seed decides. What is
// shown is that no answer shows anything of it.
//
// Works on a thread of its own.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "dspool/engine.h"

namespace dspool::loadtest {

enum class Change : std::uint8_t { kResize, kDrain, kEvacuate, kMigrate, kRebalance };
inline constexpr std::size_t kChanges = 5;
[[nodiscard]] std::string_view to_string(Change change) noexcept;

struct Changes {
  std::array<std::uint64_t, kChanges> done{};  // by Change
  std::uint64_t refused = 0;  // or not done in time: by the nature of what else goes on
  std::uint64_t migrated_sessions = 0;
  std::uint64_t recycled_workers = 0;
};

class Churner {
 public:
  // Sizes are 1 to twice `pool_size`. `on_change` is told of each, on the churner's thread.
  // REQUIRES: `engine` and `session_ids` outlive *this.
  Churner(Engine& engine, std::chrono::milliseconds interval, std::uint32_t pool_size,
          const std::vector<std::string>& session_ids, std::uint64_t seed,
          std::function<void(const std::string&)> on_change);
  // As stop().
  ~Churner();
  Churner(const Churner&) = delete;
  Churner& operator=(const Churner&) = delete;

  // Makes the pool as large as it was; then nothing is changed any more. What was done.
  Changes stop();

 private:
  void run();
  Result<void> make(Change change, std::string& what);
  [[nodiscard]] std::string some_worker();
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  Engine& engine_;
  const std::chrono::milliseconds interval_;
  const std::uint32_t pool_size_;
  const std::vector<std::string>& session_ids_;
  std::mt19937_64 random_;
  const std::function<void(const std::string&)> on_change_;
  Changes changes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace dspool::loadtest
