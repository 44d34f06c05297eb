#include "engine/dispatch/receiver.h"

#include <poll.h>

#include <array>

namespace dspool::dispatch {
namespace {

// Sleeps until the worker rings or dies, or the deadline. false: it is time to hand over.
bool sleep_on(const worker::Link& link, ipc::EngineChannel& channel, TimePoint deadline) {
  const auto left = deadline - Gate::now();
  if (left <= std::chrono::nanoseconds(0)) return false;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
  std::array<pollfd, 2> watched{{{.fd = channel.caller_bell(), .events = POLLIN, .revents = 0},
                                 {.fd = link.pidfd, .events = POLLIN, .revents = 0}}};
  if (::ppoll(watched.data(), watched.size(), &timeout, nullptr) <= 0) return true;
  if (watched[0].revents == 0) return false;  // dead: the reactor reads what is left
  channel.clear_bell(ipc::Receiver::kCaller);
  return true;
}

}  // namespace

void receive_until_done(Gate& gate, worker::Link& link, BlockingCall& call, Waker& reactor) {
  ipc::EngineChannel& channel = link.channel();
  channel.announce(ipc::Receiver::kNobody);
  const auto something_to_do = [&] { return channel.has_records() || call.is_done(); };
  bool go_on = true;
  while (go_on && !call.is_done()) {
    if (link.spin.spin(something_to_do)) {
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
