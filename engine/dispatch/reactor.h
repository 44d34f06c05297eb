// The thread that reads what no caller reads: the answers on links with several requests in
// flight, of submitted calls, and of workers that die. It also keeps time and runs completions.
//
// It sleeps in epoll over bells and hang-ups, after spinning a little where there was something to
// read lately. It never blocks on anything else.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/dispatch/gate.h"
#include "engine/dispatch/waker.h"
#include "engine/worker/link.h"
#include "ipc/adaptive_spin.h"

namespace dspool::dispatch {

class Reactor {
 public:
  // `spin_limit`: how long it looks before it sleeps. `gate` and `waker` outlive *this.
  Reactor(Gate& gate, Waker& waker, std::chrono::nanoseconds spin_limit);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Reads the link from now on, until its worker has hung up. Any thread.
  void watch(std::shared_ptr<worker::Link> link);
  // Waits for the thread, which ends when the last link has closed.
  void finish();

 private:
  // The longest sleep: a deadline that nobody announced is seen by then.
  static constexpr std::chrono::milliseconds kMaxSleep{250};

  static constexpr std::chrono::milliseconds kTimerInterval{1};
  static constexpr std::chrono::seconds kHeartInterval{1};

  struct Watched {
    std::shared_ptr<worker::Link> link;
    ipc::Receiver announced = ipc::Receiver::kNobody;
    bool sends = false;  // it has more to send than its control socket had room for
    bool dead = false;
  };

  void run();
  void adopt_new_links();
  bool read_all();
  void read(Watched& watched);
  [[nodiscard]] bool anything_to_read() const;
  bool announce_all();
  void watch_outboxes();
  bool take_events(std::chrono::milliseconds patience);
  void sleep();
  bool keep_time();
  void close_dead();

  Gate& gate_;
  Waker& waker_;
  int epoll_;
  ipc::AdaptiveSpin spin_;
  std::vector<Watched> links_;
  TimePoint look_at_timers_{};
  TimePoint listen_to_hearts_{};

  std::mutex mutex_;  // guards what follows
  std::vector<std::shared_ptr<worker::Link>> new_links_;
  bool finishing_ = false;

  std::thread thread_;
};

}  // namespace dspool::dispatch
