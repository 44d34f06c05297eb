// Wakes a thread that sleeps in poll or epoll, and knows which one it is: an eventfd.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>
#include <thread>

namespace dspool::dispatch {

class Waker {
 public:
  // Throws std::system_error where no descriptor can be had.
  Waker() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~Waker() { ::close(descriptor_); }
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  void wake() const noexcept { ::eventfd_write(descriptor_, 1); }
  // The calling thread is the one that is woken.
  void own() noexcept { owner_.store(std::this_thread::get_id(), std::memory_order_relaxed); }
  [[nodiscard]] bool is_owner() const noexcept {
    return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }
  void clear() const noexcept {
    eventfd_t ignored = 0;
    ::eventfd_read(descriptor_, &ignored);
  }

 private:
  int descriptor_;
  std::atomic<std::thread::id> owner_{};
};

}  // namespace dspool::dispatch
