// A worker in a forked process, which goes on by one machine instruction when it is told to. It
// echoes two requests by itself, so that all code has been run once, and stops; what is stepped
// through is a third: receive, echo, publish, and then a sleep.
#pragma once

#include <sys/types.h>

#include "ipc/file_descriptor.h"
#include "tests/ipc/channel_pair.h"

namespace dspool::ipc {

class SteppedPeer {
 public:
  // Returns when it has stopped. REQUIRES: this process has one thread.
  explicit SteppedPeer(EngineChannel& engine);
  SteppedPeer(const SteppedPeer&) = delete;
  SteppedPeer& operator=(const SteppedPeer&) = delete;
  ~SteppedPeer();

  // Why no process can be stepped here; nullptr: it can.
  [[nodiscard]] static const char* refused();
  // Executes one instruction, or one system call; false: it has received a fourth request, and
  // ended.
  [[nodiscard]] bool step();
  void kill();
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }

 private:
  pid_t pid_;
  FileDescriptor pidfd_;
  bool running_ = true;
};

}  // namespace dspool::ipc
