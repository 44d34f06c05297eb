// How late the machine is: on one with more work than cores, a call that the engine ends in time
// is told late. The checker allows for what is written down here.
//
// Every few milliseconds a thread that had something to do at a time hands it on to another one, as
// the engine's reactor does to a caller. Lines of lateness.jsonl: {"from_ns", "to_ns"}, when it was
// to be done, and was; where it was done in time there is none.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/chaos/driver/clock.h"
#include "tests/chaos/driver/json_lines.h"

namespace dspool::chaos {

class Lateness {
 public:
  // `lines` outlives *this.
  explicit Lateness(const JsonLines& lines);
  ~Lateness();
  Lateness(const Lateness&) = delete;
  Lateness& operator=(const Lateness&) = delete;

 private:
  void keep_time();
  void answer();

  const JsonLines& lines_;
  std::atomic<bool> over_ = false;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Clock::time_point due_;
  bool handed_on_ = false;
  std::thread answering_;
  std::thread keeping_time_;
};

}  // namespace dspool::chaos
