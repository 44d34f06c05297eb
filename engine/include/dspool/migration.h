// A session's move from one worker to another: its fields are brought to a worker before a call
// needs them there. Moves change where a session is fast, never what its calls answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace dspool {

enum class MigrationReason : std::uint8_t {
  kAsked,      // Engine::migrate_session
  kDrain,      // its worker was drained
  kEvacuate,   // its worker was evacuated
  kRecycle,    // its worker was replaced: by its requests, its age or its memory
  kResize,     // its worker left because the pool became smaller
  kRebalance,  // its worker had many more than others
};
[[nodiscard]] std::string_view to_string(MigrationReason reason) noexcept;

struct Migration {
  std::string session;
  std::string from;  // a worker's name; empty: it was warm nowhere
  std::string to;
  MigrationReason reason{};
};

using MigrationObserver = std::function<void(const Migration&)>;

// Keeps an observer subscribed; when it ends, the observer is told nothing any more, and is not
// running (unless it ends there itself). May outlive the engine.
class Subscription {
 public:
  Subscription() noexcept = default;
  explicit Subscription(std::shared_ptr<void> ends_with_it) noexcept
      : ends_with_it_(std::move(ends_with_it)) {}

 private:
  std::shared_ptr<void> ends_with_it_;
};

}  // namespace dspool
