// What an engine has logged, for end-to-end tests. It outlives the engine.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>

#include "dspool/config.h"

namespace dspool::test {

class CapturedLog {
 public:
  void capture(Config& config, LogLevel level) {
    config.log_level = level;
    config.log_sink = [this](LogLevel, std::string_view line) {
      const std::lock_guard lock(mutex_);
      text_.append(line).push_back('\n');
      changed_.notify_all();
    };
  }

  [[nodiscard]] std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

  // false: it was not logged within `patience`.
  bool wait_for(std::string_view words, std::chrono::seconds patience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience,
                             [&] { return text_.find(words) != std::string::npos; });
  }

 private:
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::string text_;
};

}  // namespace dspool::test
