#include "tests/chaos/driver/lateness.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <utility>

namespace dspool::chaos {
namespace {

constexpr std::chrono::milliseconds kBeat{5};
constexpr std::chrono::milliseconds kLate{5};
constexpr int kBeatsPerLook = 4;
constexpr std::size_t kThreadsOfACall =
    3;  // that a call's end goes through: reactor, arena, caller

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
  for (int beat = 0; !over_; ++beat) {
    const auto due = Clock::now() + kBeat;
    std::this_thread::sleep_until(due);
    {
      const std::lock_guard lock(mutex_);
      due_ = due;
      handed_on_ = true;
    }
    changed_.notify_all();
    if (beat % kBeatsPerLook == 0) read_run_delay();
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

void Lateness::read_run_delay() {
  std::map<std::string, std::uint64_t> now;
  std::error_code gone;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", gone)) {
    std::ifstream schedstat(task.path() / "schedstat");
    std::uint64_t running_ns = 0;
    std::uint64_t waiting_ns = 0;
    if (schedstat >> running_ns >> waiting_ns) now[task.path().filename()] = waiting_ns;
  }
  std::array<std::uint64_t, kThreadsOfACall + 1> longest{};  // the last one is thrown out
  for (const auto& [task, waiting_ns] : now) {
    longest.back() = waiting_ns - std::min(waiting_ns, run_delay_ns_[task]);
    std::ranges::sort(longest, std::greater());
  }
  longest.back() = 0;
  total_run_delay_ns_ += std::accumulate(longest.begin(), longest.end(), std::uint64_t{0});
  run_delay_ns_ = std::move(now);
  JsonObject line;
  line.number("at_ns", now_ns())
      .number("run_delay_ns", static_cast<std::int64_t>(total_run_delay_ns_));
  lines_.write(std::move(line).take());
}

}  // namespace dspool::chaos
