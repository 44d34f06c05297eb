#include "engine/dispatch/receiver.h"

#include <poll.h>

namespace dspool::dispatch {
namespace {

// Sleeps until the worker rings, or the reactor since the worker ends, or the deadline. false: it
// is time to hand over; what a dead worker has left is the reactor's.
bool sleep_on(const worker::Link& link, ipc::EngineChannel& channel, TimePoint deadline) {
  const auto left = deadline - Gate::now();
  if (left <= std::chrono::nanoseconds(0) || link.ended()) return false;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
  pollfd bell{.fd = channel.caller_bell(), .events = POLLIN, .revents = 0};
  if (::ppoll(&bell, 1, &timeout, nullptr) > 0) channel.clear_bell(ipc::Receiver::kCaller);
  return true;
}

}  // namespace

void receive_until_done(Gate& gate, worker::Link& link, BlockingCall& call, Waker& reactor,
                        bool crowded) {
  ipc::EngineChannel& channel = link.channel();
  const auto something_to_do = [&] { return channel.has_records() || call.is_done(); };
  bool go_on = true;
  while (go_on && !call.is_done()) {
    if (crowded ? something_to_do() : link.spin.spin(something_to_do)) {
      gate.deliver(link, link.receive());
      // A call that waits for another attempt may get it anywhere.
      go_on = !link.violated() && (call.is_done() || gate.runs_on(call, link.slot()));
      continue;
    }
    channel.announce(ipc::Receiver::kCaller);
    go_on = something_to_do() || sleep_on(link, channel, call.deadline);
    channel.announce(ipc::Receiver::kNobody);
  }
  channel.announce(ipc::Receiver::kReactor);
  const bool left_over = channel.has_records() || link.violated();
  channel.release_token();
  if (left_over || !call.is_done()) reactor.wake();
  call.done.wait(0, std::memory_order_acquire);
}

}  // namespace dspool::dispatch
