#include "engine/dispatch/archivist.h"

#include <algorithm>
#include <utility>

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostInGroup = 256;

}  // namespace

Archivist::Archivist(ErrandRunner& runner, milliseconds group_delay, telemetry::Log& log,
                     telemetry::Metrics& metrics)
    : runner_(runner),
      writer_(runner, log, metrics, [this](std::span<Errand* const> told) { tell_(told); }),
      group_delay_(group_delay) {}

Archivist::~Archivist() { finish(); }

void Archivist::run(Tell tell, Idle idle) {
  tell_ = std::move(tell);
  idle_ = std::move(idle);
  writing_ = std::thread([this] { write_on(); });
  reading_ = std::thread([this] { read_on(); });
}

void Archivist::finish() {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  to_write_due_.notify_all();
  to_read_due_.notify_all();
  if (writing_.joinable()) writing_.join();
  if (reading_.joinable()) reading_.join();
}

void Archivist::start(std::unique_ptr<Errand> errand) {
  if (errand->kind == Errand::Kind::kLoad) {
    {
      const std::lock_guard lock(mutex_);
      to_read_.push_back(std::move(errand));
    }
    to_read_due_.notify_one();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    to_write_.push_back(std::move(errand));
  }
  to_write_due_.notify_one();
}

// ---- writing ----

void Archivist::write_on() {
  while (true) {
    if (writer_.is_broken()) {
      recover();
      continue;
    }
    Errands group = take_group();
    if (group.empty()) return;
    writer_.write(std::move(group));
  }
}

// Where the engine stops, this try is the last.
void Archivist::recover() {
  bool finishing = false;
  Errands came;
  {
    std::unique_lock lock(mutex_);
    finishing = to_write_due_.wait_for(lock, writer_.next_delay(), [this] { return finishing_; });
    came.swap(to_write_);
  }
  writer_.write(std::move(came));
  writer_.recover();
  if (finishing && writer_.is_broken()) writer_.abandon();
}

// What has come while the group before was written, and what comes within the delay. Empty: this is
// the end.
Errands Archivist::take_group() {
  std::unique_lock lock(mutex_);
  to_write_due_.wait(lock, [this] { return !to_write_.empty() || finishing_; });
  if (group_delay_.count() != 0 && !finishing_) {
    to_write_due_.wait_for(lock, group_delay_,
                           [this] { return to_write_.size() >= kMostInGroup || finishing_; });
  }
  Errands group;
  if (to_write_.size() <= kMostInGroup) {
    group.swap(to_write_);
    return group;
  }
  const auto end = to_write_.begin() + kMostInGroup;
  std::move(to_write_.begin(), end, std::back_inserter(group));
  to_write_.erase(to_write_.begin(), end);
  return group;
}

// ---- reading ----

void Archivist::read_on() {
  using std::chrono::steady_clock;
  std::optional<steady_clock::time_point> idle_due;
  if (idle_) idle_due = steady_clock::now();
  while (true) {
    std::unique_ptr<Errand> errand;
    {
      std::unique_lock lock(mutex_);
      const auto due = [this] { return !to_read_.empty() || finishing_; };
      if (idle_due) {
        to_read_due_.wait_until(lock, *idle_due, due);
      } else {
        to_read_due_.wait(lock, due);
      }
      if (!to_read_.empty()) {
        errand = std::move(to_read_.front());
        to_read_.pop_front();
      } else if (finishing_) {
        return;
      }
    }
    if (!errand) {
      const auto delay = idle_();
      idle_due = delay ? std::optional(steady_clock::now() + *delay) : std::nullopt;
      continue;
    }
    runner_.load(*errand);
    Errand* const told = errand.get();
    tell_({&told, 1});
  }
}

}  // namespace dspool::dispatch
