#include "ipc/lifeline.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace dspool::ipc {
namespace {

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

Result<std::unique_ptr<Lifeline>> Lifeline::start(int socket) {
  FileDescriptor stop_bell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop_bell.is_open()) return system_fault("cannot create an eventfd", errno);
  std::unique_ptr<Lifeline> lifeline(new Lifeline(std::move(stop_bell)));

  // The thread inherits a mask that leaves all signals to the others.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = 0;
  try {
    lifeline->thread_ = std::thread(watch, socket, lifeline->stop_bell_.get());
  } catch (const std::system_error& exception) {
    error = exception.code().value();
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return system_fault("cannot start the lifeline's thread", error);
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
