#include "engine/dispatch/receiver.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "ipc/planted_bug.h"

namespace dspool::dispatch {
namespace {

using std::chrono::nanoseconds;

// A caller that has slept for longer is in nobody's way.
constexpr nanoseconds kShortSleep = std::chrono::milliseconds(1);

enum class Woken : std::uint8_t {
  kByBell,
  kByTime,
  kByEnd,  // of the worker: what is left is the reactor's to read
};

Woken sleep_on(const ipc::EngineChannel& channel, nanoseconds longest) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(longest);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (longest - seconds).count()};
  std::array<pollfd, 2> watched{{{.fd = channel.caller_bell(), .events = POLLIN, .revents = 0},
                                 {.fd = channel.end_bell(), .events = POLLIN, .revents = 0}}};
  if (::ppoll(watched.data(), watched.size(), &timeout, nullptr) <= 0) return Woken::kByTime;
  if (watched[1].revents != 0) return Woken::kByEnd;
  channel.clear_bell(ipc::Receiver::kCaller);
  if (ipc::has_bug_at_times("drop_doorbell", 20)) return sleep_on(channel, longest);
  return Woken::kByBell;
}

}  // namespace

void receive_until_done(Gate& gate, worker::Link& link, BlockingCall& call, Waker& reactor,
                        bool crowded) {
  ipc::EngineChannel& channel = link.channel();
  const auto something_to_do = [&] { return channel.has_records() || call.is_done(); };
  bool slept_for_long = false;
  const auto sleep = [&] {
    const nanoseconds left = call.deadline - Gate::now();
    if (left <= nanoseconds(0)) return false;
    const Woken woken = sleep_on(channel, slept_for_long ? left : std::min(left, kShortSleep));
    if (woken == Woken::kByTime && !std::exchange(slept_for_long, true)) gate.leave_crowd(call);
    return woken != Woken::kByEnd;
  };
  bool go_on = true;
  while (go_on && !call.is_done()) {
    if (crowded ? something_to_do() : link.spin.spin(something_to_do)) {
      gate.deliver(link, link.receive());
      // A call that waits for another attempt may get it anywhere.
      go_on = !link.violated() && (call.is_done() || gate.runs_on(call, link.slot()));
      continue;
    }
    channel.announce(ipc::Receiver::kCaller);
    go_on = something_to_do() || sleep();
    channel.announce(ipc::Receiver::kNobody);
  }
  channel.announce(ipc::Receiver::kReactor);
  channel.release_token();  // first: a ring that comes while it is held is lost on the reactor
  if (channel.has_records() || link.violated() || !call.is_done()) reactor.wake();
  if (!call.is_done()) gate.leave_crowd(call);
  call.done.wait(0, std::memory_order_acquire);
}

}  // namespace dspool::dispatch
