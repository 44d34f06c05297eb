// How late the machine is: on one with more work than cores, a call that the engine ends in time
// is told late. The checker allows a call what is written down here, and no more.
//
// Twice in a hundredth of a second a thread that had something to do at a time hands it on to
// another one, as the engine's reactor does to a caller. Lines of lateness.jsonl:
//   {"from_ns", "to_ns"}          when it was to be done, and was: written where that is long
//   {"at_ns", "run_delay_ns"}     how long those three threads of this process that waited for a
//                                 core for longest have done so, added up over time; where the
//                                 kernel tells
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
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
  void read_run_delay();

  const JsonLines& lines_;
  std::map<std::string, std::uint64_t> run_delay_ns_;  // by thread
  std::uint64_t total_run_delay_ns_ = 0;
  std::atomic<bool> over_ = false;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Clock::time_point due_;
  bool handed_on_ = false;
  std::thread answering_;
  std::thread keeping_time_;
};

}  // namespace dspool::chaos
