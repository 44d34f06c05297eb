// What a thread does while it blocks in a call to whose chunks it listens: it is given them itself,
// so that it may take its time.
//
// Threads: any may post and finish; one waits, and *this is gone afterwards.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "dspool/call.h"

namespace dspool::dispatch {

class CallerInbox {
 public:
  void post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    changed_.notify_one();  // under the lock: who waits may be gone after it
  }

  // Of all tasks, the last one does this.
  void finish(Result<Answer> result) {
    const std::lock_guard lock(mutex_);
    result_.emplace(std::move(result));
    changed_.notify_one();
  }

  // Runs what is posted, until it is finished.
  [[nodiscard]] Result<Answer> wait() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return result_.has_value() || !tasks_.empty(); });
      if (result_) return *std::move(result_);
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

 private:
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::optional<Result<Answer>> result_;
};

}  // namespace dspool::dispatch
