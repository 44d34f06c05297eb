#include "ipc/lifeline.h"

#include <linux/close_range.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <future>
#include <system_error>

namespace dspool::ipc {
namespace {

// In a descriptor table that is from then on the calling thread's own. It may be empty. Not by the
// C library's function, which sanitizers take for a change to the table of all threads.
bool close_own(int first, int last) noexcept {
  return first > last || ::syscall(SYS_close_range, static_cast<unsigned>(first),
                                   static_cast<unsigned>(last), CLOSE_RANGE_UNSHARE) == 0;
}

// Gives the calling thread a descriptor table of its own with nothing but these in it.
bool keep_only(int one, int other) noexcept {
  const auto [low, high] = std::minmax(one, other);
  return close_own(0, low - 1) && close_own(low + 1, high - 1) && close_own(high + 1, INT_MAX);
}

// Returns when stopped.
void watch(int socket, int stop_bell) noexcept {
  std::array<pollfd, 2> watched{{{.fd = socket, .events = POLLRDHUP, .revents = 0},
                                 {.fd = stop_bell, .events = POLLIN, .revents = 0}}};
  while (true) {
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;  // EINTR: signals are blocked
    if (watched[0].revents != 0) Lifeline::end_process();  // POLLHUP and POLLERR come unasked
    if (watched[1].revents != 0) return;
  }
}

}  // namespace

Result<std::unique_ptr<Lifeline>> Lifeline::start(FileDescriptor socket) {
  FileDescriptor stop_bell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop_bell.is_open()) return system_fault("cannot create an eventfd", errno);
  std::unique_ptr<Lifeline> lifeline(new Lifeline(std::move(socket), std::move(stop_bell)));

  // The thread inherits a mask that leaves all signals to the others.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = 0;
  std::promise<bool> alone;
  auto is_alone = alone.get_future();
  try {
    lifeline->thread_ = std::thread([alone = std::move(alone), socket = lifeline->socket_.get(),
                                     stop_bell = lifeline->stop_bell_.get()]() mutable {
      alone.set_value(keep_only(socket, stop_bell));
      watch(socket, stop_bell);
    });
  } catch (const std::system_error& exception) {
    error = exception.code().value();
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return system_fault("cannot start the lifeline's thread", error);
  if (is_alone.get()) lifeline->socket_.close();
  ::pthread_setname_np(lifeline->thread_.native_handle(), "dspool-lifeline");
  return lifeline;
}

void Lifeline::end_process() noexcept {
  const bool leads_group = ::getpgrp() == ::getpid();
  ::kill(leads_group ? 0 : ::getpid(), SIGKILL);
}

Lifeline::~Lifeline() {
  if (!thread_.joinable()) return;
  ::eventfd_write(stop_bell_.get(), 1);
  thread_.join();
}

}  // namespace dspool::ipc
