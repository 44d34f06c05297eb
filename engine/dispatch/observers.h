// Tells observers of what has happened, on a thread of its own: an observer may block, and may call
// the engine. It starts with the first observer.
//
// Bounded: of more than kMostWaiting events that nobody has been told of yet, the newest are not
// told.
// Threads: any.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "dspool/migration.h"

namespace dspool::dispatch {

template <typename Event>
class Observers {
 public:
  using Observer = std::function<void(const Event&)>;

  static constexpr std::size_t kMostWaiting = 65'536;

  Observers() = default;
  ~Observers() { finish(); }
  Observers(const Observers&) = delete;
  Observers& operator=(const Observers&) = delete;

  [[nodiscard]] Subscription subscribe(Observer observer);
  void tell(Event event);
  // Tells of what waits, and of nothing any more.
  void finish();

 private:
  // One observer; lives on in its subscription.
  struct Entry {
    explicit Entry(Observer told) : observer(std::move(told)) {}
    std::recursive_mutex running;  // held while it is told; it may end its own subscription
    Observer observer;             // empty: its subscription has ended
  };

  void run();

  std::mutex mutex_;  // guards what follows; never held while an observer runs
  std::condition_variable changed_;
  std::vector<std::weak_ptr<Entry>> entries_;
  std::deque<Event> waiting_;
  bool finishing_ = false;
  std::thread thread_;
};

using MigrationObservers = Observers<Migration>;

template <typename Event>
Subscription Observers<Event>::subscribe(Observer observer) {
  auto entry = std::make_shared<Entry>(std::move(observer));
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(entries_, [](const auto& each) { return each.expired(); });
    entries_.push_back(entry);
    if (!thread_.joinable() && !finishing_) thread_ = std::thread([this] { run(); });
  }
  // Its end waits for the observer, which may be running.
  return Subscription(std::shared_ptr<void>(nullptr, [entry](void*) {
    const std::lock_guard lock(entry->running);
    entry->observer = nullptr;
  }));
}

template <typename Event>
void Observers<Event>::tell(Event event) {
  {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable() || finishing_ || waiting_.size() >= kMostWaiting) return;
    waiting_.push_back(std::move(event));
  }
  changed_.notify_one();
}

template <typename Event>
void Observers<Event>::finish() {
  std::thread thread;
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
    thread.swap(thread_);
  }
  changed_.notify_one();
  if (thread.joinable()) thread.join();
}

template <typename Event>
void Observers<Event>::run() {
  for (;;) {
    Event event;
    std::vector<std::weak_ptr<Entry>> entries;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return finishing_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      event = std::move(waiting_.front());
      waiting_.pop_front();
      entries = entries_;
    }
    for (const auto& each : entries) {
      const std::shared_ptr<Entry> entry = each.lock();
      if (!entry) continue;
      const std::lock_guard lock(entry->running);
      if (!entry->observer) continue;
      const Observer observer = entry->observer;  // it may end its subscription
      observer(event);
    }
  }
}

}  // namespace dspool::dispatch
