// The way from a stream of chunks back to the gate. The executor that streams run on is the
// caller's, and what it was given may run when the engine has gone: then nothing happens.
//
// Threads: any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

namespace dspool::dispatch {

class Gate;
struct SubmittedCall;

class StreamPort {
 public:
  explicit StreamPort(Gate& gate) noexcept : gate_(gate) {}
  StreamPort(const StreamPort&) = delete;
  StreamPort& operator=(const StreamPort&) = delete;

  // The first so many chunks of an attempt are consumed.
  void consumed(std::uint32_t worker, std::uint64_t request_id, std::uint64_t chunks);
  // Ends the call that has this public id, if it has not ended.
  void cancel(std::uint64_t public_id, std::string cause);
  // Has the reactor take the call's turn.
  void post(SubmittedCall& call);

  // Waits until nobody is on this way, and lets nobody on it any more. REQUIRES: all calls have
  // ended.
  void close();

 private:
  [[nodiscard]] bool enter();
  void leave();

  Gate& gate_;
  std::mutex mutex_;  // guards what follows; not held while the gate is used
  std::condition_variable nobody_is_here_;
  std::uint32_t users_ = 0;
  bool closed_ = false;
};

}  // namespace dspool::dispatch
