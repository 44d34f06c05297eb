#include "tests/chaos/driver/termination.h"

#include <atomic>
#include <csignal>

namespace dspool::chaos {
namespace {

std::atomic<bool> termination_asked{false};
static_assert(decltype(termination_asked)::is_always_lock_free);  // or a handler could not set it

}  // namespace

void watch_for_termination() {
  struct sigaction action {};
  action.sa_handler = [](int) { termination_asked = true; };
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
}

bool asked_to_terminate() noexcept { return termination_asked; }

}  // namespace dspool::chaos
