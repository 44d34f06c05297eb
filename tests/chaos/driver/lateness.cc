#include "tests/chaos/driver/lateness.h"

#include <utility>

namespace dspool::chaos {
namespace {

constexpr std::chrono::milliseconds kBeat{5};
constexpr std::chrono::milliseconds kLate{5};

}  // namespace

Lateness::Lateness(const JsonLines& lines)
    : lines_(lines), answering_([this] { answer(); }), keeping_time_([this] { keep_time(); }) {}

Lateness::~Lateness() {
  over_ = true;
  keeping_time_.join();
  {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  answering_.join();
}

void Lateness::keep_time() {
  while (!over_) {
    const auto due = Clock::now() + kBeat;
    std::this_thread::sleep_until(due);
    {
      const std::lock_guard lock(mutex_);
      if (!std::exchange(handed_on_, true)) due_ = due;
    }
    changed_.notify_all();
  }
}

void Lateness::answer() {
  std::unique_lock lock(mutex_);
  while (!over_) {
    changed_.wait(lock, [this] { return handed_on_ || over_; });
    if (!std::exchange(handed_on_, false)) continue;
    const auto now = Clock::now();
    if (now - due_ < kLate) continue;
    JsonObject line;
    line.number("from_ns", in_ns(due_)).number("to_ns", in_ns(now));
    lines_.write(std::move(line).take());
  }
}

}  // namespace dspool::chaos
