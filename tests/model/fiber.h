// A call stack of its own: runs a function until it yields, and goes on there when it is resumed.
// What is started again, or destroyed, before its function has ended is abandoned: nothing that
// lies on its stack is destroyed.
//
// Threads: one.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <functional>
#include <memory>

namespace dspool::model {

class Fiber {
 public:
  Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next resume() begins `body`, which must not throw.
  void start(std::function<void()> body);
  // Runs until yield() or the end. REQUIRES: started, not ended.
  void resume();
  // Back to where resume() was called. REQUIRES: this fiber runs.
  void yield();
  [[nodiscard]] bool has_ended() const noexcept { return ended_; }

 private:
  static void enter(unsigned high, unsigned low);

  std::unique_ptr<std::byte[]> stack_;
  std::function<void()> body_;
  ucontext_t outside_{};
  ucontext_t inside_{};
  bool ended_ = true;
};

}  // namespace dspool::model
