#include "engine/dispatch/migration_observers.h"

#include <utility>

namespace dspool::dispatch {

MigrationObservers::~MigrationObservers() { finish(); }

Subscription MigrationObservers::subscribe(MigrationObserver observer) {
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

void MigrationObservers::tell(Migration migration) {
  {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable() || finishing_ || waiting_.size() >= kMostWaiting) return;
    waiting_.push_back(std::move(migration));
  }
  changed_.notify_one();
}

void MigrationObservers::finish() {
  std::thread thread;
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
    thread.swap(thread_);
  }
  changed_.notify_one();
  if (thread.joinable()) thread.join();
}

void MigrationObservers::run() {
  for (;;) {
    Migration migration;
    std::vector<std::weak_ptr<Entry>> entries;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return finishing_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      migration = std::move(waiting_.front());
      waiting_.pop_front();
      entries = entries_;
    }
    for (const auto& each : entries) {
      const std::shared_ptr<Entry> entry = each.lock();
      if (!entry) continue;
      const std::lock_guard lock(entry->running);
      if (!entry->observer) continue;
      const MigrationObserver observer = entry->observer;  // it may end its subscription
      observer(migration);
    }
  }
}

}  // namespace dspool::dispatch
