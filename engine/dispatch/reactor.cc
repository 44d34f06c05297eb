#include "engine/dispatch/reactor.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/worker/confinement.h"
#include "engine/worker/scheduling.h"
#include "ipc/child_process.h"

namespace dspool::dispatch {
namespace {

// What an epoll event is about: the waker, or a link's bell or its worker's end, told by the low
// bit.
constexpr std::uint64_t kWakerEvent = 0;

std::uint64_t bell_event(std::uint64_t epoch) { return epoch << 1; }
std::uint64_t death_event(std::uint64_t epoch) { return epoch << 1 | 1; }

bool epoll_add(int epoll, int descriptor, std::uint32_t events, std::uint64_t data) {
  epoll_event event{.events = events, .data = {.u64 = data}};
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

}  // namespace

Reactor::Reactor(Gate& gate, Waker& waker, std::chrono::nanoseconds spin_limit)
    : gate_(gate), waker_(waker), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  spin_.set_limit(spin_limit);
  if (epoll_ < 0 || !epoll_add(epoll_, waker_.descriptor(), EPOLLIN, kWakerEvent)) {
    throw std::system_error(errno, std::generic_category(), "epoll");
  }
  thread_ = std::thread([this] { run(); });
}

Reactor::~Reactor() {
  finish();
  ::close(epoll_);
}

void Reactor::watch(std::shared_ptr<worker::Link> link) {
  {
    const std::lock_guard lock(mutex_);
    new_links_.push_back(std::move(link));
  }
  waker_.wake();
}

void Reactor::finish() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  waker_.wake();
  thread_.join();
}

void Reactor::run() {
  waker_.own();
  worker::run_soon_and_briefly();
  for (;;) {
    adopt_new_links();
    const bool read_something = read_all();
    close_dead();
    const bool more_completions = gate_.run_completions();
    watch_outboxes();
    const bool events = keep_time();
    if (read_something || more_completions || events) continue;
    {
      const std::lock_guard lock(mutex_);
      if (finishing_ && links_.empty() && new_links_.empty()) break;
    }
    if (spin_.spin([this] { return anything_to_read(); })) continue;
    if (announce_all()) sleep();
  }
  while (gate_.run_completions()) continue;
}

void Reactor::adopt_new_links() {
  std::vector<std::shared_ptr<worker::Link>> links;
  {
    const std::lock_guard lock(mutex_);
    links.swap(new_links_);
  }
  for (auto& link : links) {
    // Edge-triggered: a bell need not be cleared, each ring is an event of its own.
    bool watched = epoll_add(epoll_, link->channel().reactor_bell(), EPOLLIN | EPOLLET,
                             bell_event(link->epoch())) &&
                   epoll_add(epoll_, link->pidfd, EPOLLIN | EPOLLET, death_event(link->epoch()));
    for (const int socket : link->channel().hang_ups()) {
      watched = watched && epoll_add(epoll_, socket, EPOLLET, death_event(link->epoch()));
    }
    // One whose death nobody would see is closed at once, which ends it.
    links_.push_back({.link = std::move(link), .dead = !watched});
  }
}

bool Reactor::read_all() {
  bool read_something = false;
  for (Watched& watched : links_) {
    ipc::EngineChannel& channel = watched.link->channel();
    if (!channel.has_records() || watched.link->violated()) continue;
    if (!channel.try_take_token()) continue;  // a caller reads
    read(watched);
    channel.release_token();
    read_something = true;
  }
  return read_something;
}

// REQUIRES: the token.
void Reactor::read(Watched& watched) {
  ipc::EngineChannel& channel = watched.link->channel();
  if (watched.announced != ipc::Receiver::kNobody) {
    channel.announce(ipc::Receiver::kNobody);  // while we look, nobody need ring
    watched.announced = ipc::Receiver::kNobody;
  }
  gate_.deliver(*watched.link, watched.link->receive());
}

bool Reactor::anything_to_read() const {
  return std::ranges::any_of(links_, [](const Watched& watched) {
    ipc::EngineChannel& channel = watched.link->channel();
    // What a caller reads wakes the reactor if it is left over.
    return !channel.token_is_taken() && channel.has_records() && !watched.link->violated();
  });
}

// Tells every worker to ring the reactor. false: a record came in the meantime.
bool Reactor::announce_all() {
  for (Watched& watched : links_) {
    if (watched.announced == ipc::Receiver::kReactor) continue;
    ipc::EngineChannel& channel = watched.link->channel();
    if (!channel.try_take_token()) {
      // A caller reads, and announces the reactor when it stops.
      watched.announced = ipc::Receiver::kReactor;
      continue;
    }
    channel.announce(ipc::Receiver::kReactor);
    channel.release_token();
    watched.announced = ipc::Receiver::kReactor;
    if (channel.has_records() && !watched.link->violated()) return false;
  }
  return true;
}

// Has the kernel tell when a worker makes room for what waits in its outbox. Where it waits for
// others to read, since too many descriptors are on their way, it is tried again once a second.
void Reactor::watch_outboxes() {
  for (Watched& watched : links_) {
    const bool has_more = watched.link->outbox().has_more();
    if (has_more == watched.sends) continue;
    watched.sends = has_more;
    epoll_event event{.events = EPOLLET | (has_more ? std::uint32_t{EPOLLOUT} : 0),
                      .data = {.u64 = death_event(watched.link->epoch())}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, watched.link->channel().control_socket(), &event);
  }
}

// Waits for an event, and takes all that are there. false: there was none.
bool Reactor::take_events(std::chrono::milliseconds patience) {
  std::array<epoll_event, 32> events;
  const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(patience.count()));
  for (int i = 0; i < count; ++i) {
    const std::uint64_t about = events[static_cast<std::size_t>(i)].data.u64;
    if (about == kWakerEvent) {
      waker_.clear();
      continue;
    }
    for (Watched& watched : links_) {
      if (death_event(watched.link->epoch()) != about) continue;
      const std::uint32_t what = events[static_cast<std::size_t>(i)].events;
      if ((what & EPOLLOUT) != 0) watched.link->outbox().send_on();
      if ((what & ~std::uint32_t{EPOLLOUT}) == 0) continue;
      if (!std::exchange(watched.dead, true)) gate_.hung_up(*watched.link);
    }
  }
  return count > 0;
}

void Reactor::sleep() {
  const bool dying =
      std::ranges::any_of(links_, [](const Watched& watched) { return watched.dead; });
  const TimePoint now = Gate::now();
  const TimePoint until = gate_.plan_wake(now + (dying ? std::chrono::milliseconds(1) : kMaxSleep));
  take_events(std::max(std::chrono::ceil<std::chrono::milliseconds>(until - now),
                       std::chrono::milliseconds(0)));
}

// Also while there is always something to read. Whether there were events.
bool Reactor::keep_time() {
  const TimePoint now = Gate::now();
  if (now < look_at_timers_) return false;
  look_at_timers_ = now + kTimerInterval;
  const bool events = take_events(std::chrono::milliseconds(0));
  const TimePoint due = gate_.plan_wake(now + kMaxSleep);
  if (due <= Gate::now()) gate_.sweep();
  if (now < listen_to_hearts_) return events;
  listen_to_hearts_ = now + kHeartInterval;
  gate_.listen_to_hearts();
  for (const Watched& watched : links_) watched.link->outbox().send_on();
  return events;
}

// The ring of a worker that has hung up is read once more, then its link is closed and the token
// kept: nobody reads it ever again. Whoever waited for it is told before the supervisor is, which
// would take the core that this thread runs on, and might leave it to the kernel's taking apart of
// the process.
void Reactor::close_dead() {
  std::vector<std::pair<std::shared_ptr<worker::Link>, bool>> closed;  // has it served?
  std::erase_if(links_, [&](Watched& watched) {
    if (!watched.dead) return false;
    worker::Link& link = *watched.link;
    if (!link.channel().try_take_token()) return false;  // a caller is about to give it back
    while (!link.violated() && link.channel().has_records()) read(watched);
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, link.channel().reactor_bell(), nullptr);
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, link.pidfd, nullptr);
    for (const int socket : link.channel().hang_ups()) {
      ::epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, nullptr);
    }
    const auto status = ipc::peek_exit_status(link.pidfd);
    const bool has_served = gate_.close(link, worker::describe_end(status, link.cgroup.get()));
    closed.emplace_back(std::move(watched.link), has_served);
    return true;
  });
  if (closed.empty()) return;
  gate_.run_completions();
  for (const auto& [link, has_served] : closed) gate_.bury(*link, has_served);
}

}  // namespace dspool::dispatch
