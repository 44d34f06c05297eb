// Where completions leave what has ended, for the one thread that judges and submits. Completions
// run on the engine's reactor, where every microsecond is everybody's: they take the time, put the
// answer here, and return.
//
// put: any thread. take: one thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "dspool/call.h"

namespace dspool::loadtest {

class Inbox {
 public:
  using Clock = std::chrono::steady_clock;

  struct Ended {
    std::uint32_t slot;  // what the submitter calls the operation
    Clock::time_point at;
    Result<Answer> result;
  };

  void put(std::uint32_t slot, Result<Answer> result) {
    const Clock::time_point now = Clock::now();
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      ended_.push_back(Ended{slot, now, std::move(result)});
      wake = std::exchange(waiting_, false);
    }
    if (wake) changed_.notify_one();
  }

  // All that has ended, in the order of ending; waits for the first until `deadline`.
  // `taken` is emptied first: its room is used again.
  void take(std::vector<Ended>& taken, Clock::time_point deadline) {
    taken.clear();
    std::unique_lock lock(mutex_);
    waiting_ = ended_.empty();
    changed_.wait_until(lock, deadline, [this] { return !ended_.empty(); });
    waiting_ = false;
    taken.swap(ended_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Ended> ended_;
  bool waiting_ = false;
};

// A completion that leaves its result in `inbox`. The inbox lives as long as its completions: a
// call that ends late, after its submitter has gone, finds it.
inline Completion leave_in(std::shared_ptr<Inbox> inbox, std::uint32_t slot) {
  return [inbox = std::move(inbox), slot](Result<Answer> result) {
    inbox->put(slot, std::move(result));
  };
}

}  // namespace dspool::loadtest
