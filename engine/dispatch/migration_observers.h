// Tells observers of sessions that have moved, on a thread of its own: an observer may block, and
// may call the engine. It starts with the first observer.
//
// Bounded: of more than kMostWaiting migrations that nobody has been told of yet, the newest are
// not told.
// Threads: any.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "dspool/migration.h"

namespace dspool::dispatch {

class MigrationObservers {
 public:
  static constexpr std::size_t kMostWaiting = 65'536;

  MigrationObservers() = default;
  ~MigrationObservers();
  MigrationObservers(const MigrationObservers&) = delete;
  MigrationObservers& operator=(const MigrationObservers&) = delete;

  [[nodiscard]] Subscription subscribe(MigrationObserver observer);
  void tell(Migration migration);
  // Tells of what waits, and of nothing any more.
  void finish();

 private:
  // One observer; lives on in its subscription.
  struct Entry {
    explicit Entry(MigrationObserver told) : observer(std::move(told)) {}
    std::recursive_mutex running;  // held while it is told; it may end its own subscription
    MigrationObserver observer;    // empty: its subscription has ended
  };

  void run();

  std::mutex mutex_;  // guards what follows; never held while an observer runs
  std::condition_variable changed_;
  std::vector<std::weak_ptr<Entry>> entries_;
  std::deque<Migration> waiting_;
  bool finishing_ = false;
  std::thread thread_;
};

}  // namespace dspool::dispatch
