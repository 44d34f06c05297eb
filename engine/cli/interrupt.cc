#include "engine/cli/interrupt.h"

#include <csignal>
#include <ctime>

namespace dspool::cli {
namespace {

std::atomic<bool> interrupted{false};
std::atomic<time_t> interrupted_at{0};
static_assert(decltype(interrupted)::is_always_lock_free &&
              decltype(interrupted_at)::is_always_lock_free);  // or a handler could not set them

void on_signal(int signal) {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (!interrupted.exchange(true)) {
    interrupted_at = now.tv_sec;
  } else if (now.tv_sec > interrupted_at + 1) {
    ::signal(signal, SIG_DFL);
    raise(signal);
  }
}

}  // namespace

const std::atomic<bool>& watch_for_interrupt() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return interrupted;
}

}  // namespace dspool::cli
