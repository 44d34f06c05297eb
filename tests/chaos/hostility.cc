#include "tests/chaos/hostility.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <numeric>
#include <thread>

namespace dspool::chaos {

void Hostility::run() {
  if (!serve(1 + below(10))) return;
  if (below(2) == 0) perform(pranks());
  if (!serve(1 + below(10))) return;
  perform(crimes());
}

void Hostility::perform(std::span<const Act> acts) {
  const auto add = [](unsigned sum, const Act& act) { return sum + act.weight; };
  auto ticket = below(std::accumulate(acts.begin(), acts.end(), 0U, add));
  for (const Act& act : acts) {
    if (ticket < act.weight) {
      std::printf("act: %s\n", act.name);
      std::fflush(stdout);
      return (this->*act.perform)();
    }
    ticket -= act.weight;
  }
}

bool Hostility::serve(std::uint64_t requests) {
  for (; requests != 0; --requests) {
    const auto pending = worker_.next_request();
    if (!pending) return false;
    // True chunks, too, as far as they have room for sure.
    const wire::Request& request = pending->request();
    for (std::uint64_t index = 0; request.streams() && index < 3; ++index) {
      worker_.emit(*pending, request.attempt(), index, below(1000));
    }
    worker_.answer(*pending);
  }
  return true;
}

// As likely small, huge or near a power of two.
std::uint64_t Hostility::any_number() {
  const std::uint64_t small = below(1024) - 512;
  return (below(4) == 0 ? 0 : std::uint64_t{1} << below(64)) + (below(2) == 0 ? small : 0);
}

// Until then what stands in the ring is a true answer.
void Hostility::wait_until_read() {
  const std::uint64_t tail = raw_.mine().response_tail.value.load();
  while (raw_.engine().response_head.value.load() != tail) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

}  // namespace dspool::chaos
