#include "engine/worker/supervisor.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "engine/worker/environment.h"
#include "engine/worker/scheduling.h"
#include "engine/worker/settings.h"
#include "engine/worker/start_error.h"
#include "ipc/memory_room.h"
#include "ipc/planted_bug.h"

namespace dspool::worker {
namespace {

static_assert(WorkerConfig::kLeastRingBytes == ipc::kMinRingBytes);

// A result, what changed, and their envelope.
std::uint64_t longest_answer_bytes(std::uint64_t max_payload_bytes) {
  constexpr std::uint64_t kEnvelopeBytes = ipc::kInlineLimitBytes;
  return 2 * max_payload_bytes + kEnvelopeBytes;
}

}  // namespace

Supervisor::Supervisor(const WorkerConfig& config, std::span<const std::string> names,
                       ipc::PayloadStore& payloads, ipc::StateSegment& states,
                       const telemetry::Log& log, telemetry::Metrics& metrics)
    : config_(config),
      names_(names),
      payloads_(payloads),
      states_(states),
      log_(log),
      metrics_(metrics),
      intensity_({.most = config.max_restarts, .window = config.restart_window}),
      confinement_(config_, log_),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (wake_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  if (config_.start_method == StartMethod::kForkServer) {
    fork_server_ = std::make_unique<ForkServer>(config_, log_);
  }
}

Supervisor::~Supervisor() {
  if (thread_.joinable()) {
    begin_shut_down(std::chrono::milliseconds(0));
    finish_shut_down();
  }
  ::close(wake_);
}

Result<void> Supervisor::start(std::uint32_t count, LinkListener& listener) {
  if (auto room = check_room(count); !room) return room;
  if (auto prepared = confinement_.prepare(); !prepared) return prepared;
  listener_ = &listener;
  slots_.resize(count);
  for (std::uint32_t slot = 0; slot < count; ++slot) {
    slots_[slot].wanted = true;
    slots_[slot].start_at = Clock::now();
  }
  thread_ = std::thread([this] { run(); });
  return {};
}

Result<void> Supervisor::check_room(std::uint32_t count) const {
  const std::uint64_t channel_bytes = 2 * config_.ring_bytes + config_.slab_bytes;
  const auto room = ipc::check_memory_room(channel_bytes * count, ipc::measure_memory_room());
  if (!room) return tl::unexpected(start_error(room.error()));
  return {};
}

void Supervisor::start_in(std::uint32_t slot) {
  post([this, slot] {
    if (stopping_) return;
    if (slot >= slots_.size()) slots_.resize(slot + 1);
    Slot& place = slots_[slot];
    place.wanted = true;
    place.started_before = false;
    place.pause = std::chrono::milliseconds(0);
    if (!place.link) place.start_at = Clock::now();
  });
}

void Supervisor::retire(std::uint32_t slot, bool was_told, std::chrono::milliseconds patience) {
  post([this, slot, was_told, patience] {
    Slot& place = slots_[slot];
    place.wanted = false;
    place.start_at.reset();
    if (!place.link) return listener_->vacated(slot);
    count_out(place);
    if (!was_told) {
      place.process->kill_group(SIGKILL);
    } else if (!place.kill_at) {
      place.kill_at = Clock::now() + patience;
      place.kill_why = "it was asked to end, and has not";
    }
  });
}

void Supervisor::try_again() {
  post([this] {
    if (!intensity_.is_exhausted()) return;
    intensity_.ask_again();
    resume_restarts();
  });
}

void Supervisor::post(Command command) {
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  ::eventfd_write(wake_, 1);
}

void Supervisor::ready(std::uint32_t slot, std::uint64_t epoch, std::string_view python) {
  post([this, slot, epoch, python = std::string(python)] {
    if (!is_current(slot, epoch)) return;
    Slot& place = slots_[slot];
    place.was_ready = true;
    if (intensity_.is_exhausted()) {
      intensity_.ready();
      resume_restarts();
    }
    log_.info("{} is ready (pid {}, epoch {}, Python {})", names_[slot], place.process->pid(),
              epoch, python);
    if (!place.wanted) return;
    place.counts = true;
    const std::lock_guard lock(mutex_);
    ++ready_;
    changed_.notify_all();
  });
}

void Supervisor::failed(std::uint32_t slot, std::uint64_t epoch, Error why) {
  post([this, slot, epoch, why = std::move(why)]() mutable {
    if (!is_current(slot, epoch)) return;
    Slot& place = slots_[slot];
    place.failure = std::move(why);
    if (place.kill_at) return;
    place.kill_at = Clock::now() + kHangUpGrace;
    place.kill_why = "it could not start, and has not ended";
  });
}

void Supervisor::lost(std::uint32_t slot, std::uint64_t epoch, bool has_served) {
  post([this, slot, epoch, has_served] {
    if (is_current(slot, epoch)) hang_up(slots_[slot], has_served);
  });
}

void Supervisor::kill(std::uint32_t slot, std::uint64_t epoch, std::string_view why) {
  post([this, slot, epoch, why = std::string(why)] {
    if (!is_current(slot, epoch)) return;
    log_.warning("{} is killed: {}", names_[slot], why);
    slots_[slot].process->kill_group(SIGKILL);
  });
}

void Supervisor::abort(std::uint32_t slot, std::uint64_t epoch, std::string_view why) {
  post([this, slot, epoch, why = std::string(why)] {
    if (!is_current(slot, epoch) || slots_[slot].kill_at) return;
    Slot& place = slots_[slot];
    log_.warning("{} is stuck ({}), and is killed when it has told where", names_[slot], why);
    place.output->become_important();
    place.process->kill(SIGABRT);
    place.kill_at = Clock::now() + kLastWords;
    place.kill_why = "it has not ended upon SIGABRT";
  });
}

Result<void> Supervisor::wait_first_ready(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [this] { return ready_ != 0 || first_failure_; });
  if (ready_ != 0) return {};
  if (first_failure_) return tl::unexpected(*first_failure_);
  return tl::unexpected(Error{
      .category = ErrorCategory::kInitialization,
      .code = "start_timeout",
      .message = fmt::format("no worker was ready within {} ms: see what they print in the log, or "
                             "raise worker.start_timeout",
                             patience.count())});
}

bool Supervisor::wait_ready(std::uint32_t count, std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return ready_ >= count; });
}

void Supervisor::begin_shut_down(std::chrono::milliseconds patience) {
  if (ipc::has_bug("leave_process") && ::fork() == 0) {
    for (;;) ::pause();
  }
  post([this, patience] {
    stopping_ = true;
    if (fork_server_) fork_server_->be_last();
    for (Slot& slot : slots_) {
      slot.wanted = false;
      slot.start_at.reset();
      if (slot.process && !slot.was_ready) slot.process->kill_group(SIGKILL);
    }
    kill_at_ = Clock::now() + patience;
  });
}

void Supervisor::finish_shut_down() {
  if (thread_.joinable()) thread_.join();
}

// ---- the thread ----

void Supervisor::run() {
  for (;;) {
    std::deque<Command> commands;
    {
      const std::lock_guard lock(mutex_);
      commands.swap(commands_);
    }
    for (const Command& command : commands) command();
    bury_the_dead();
    act_on_time();
    confinement_.look();
    const bool none = std::ranges::none_of(slots_, [](const Slot& s) { return s.link != nullptr; });
    if (stopping_ && none) break;
    wait_for_events(next_due());
    read_outputs();
  }
  fork_server_.reset();
}

std::optional<Supervisor::Clock::time_point> Supervisor::next_due() const {
  std::optional<Clock::time_point> due = kill_at_;
  const auto consider = [&due](Clock::time_point at) { due = due ? std::min(*due, at) : at; };
  const bool nobody_can_start = fork_server_ && fork_server_->is_under_way();
  for (const Slot& slot : slots_) {
    if (slot.start_at && !nobody_can_start) consider(intensity_.may_start_at(*slot.start_at));
    if (slot.link && !slot.was_ready && !slot.hung_up) {
      consider(slot.started + config_.start_timeout);
    }
    if (slot.kill_at) consider(*slot.kill_at);
  }
  if (const auto at = fork_server_ ? fork_server_->due() : std::nullopt) consider(*at);
  if (const auto at = confinement_.due()) consider(*at);
  return due;
}

void Supervisor::act_on_time() {
  const auto now = Clock::now();
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.start_at && intensity_.may_start_at(*slot.start_at) <= now && can_start()) spawn(i);
    if (slot.kill_at && *slot.kill_at <= now) {
      slot.kill_at = Clock::time_point::max();  // once
      log_.warning("{} is killed: {}", names_[i], slot.kill_why);
      slot.process->kill_group(SIGKILL);
    }
    if (slot.link && !slot.was_ready && !slot.hung_up &&
        slot.started + config_.start_timeout <= now) {
      slot.started = now;  // once
      slot.failure = not_ready_in_time(names_[i], config_.start_timeout);
      slot.process->kill_group(SIGKILL);
    }
  }
  if (kill_at_ && *kill_at_ <= now) {
    kill_at_.reset();
    for (const Slot& slot : slots_) {
      if (slot.process) slot.process->kill_group(SIGKILL);
    }
  }
}

void Supervisor::wait_for_events(std::optional<Clock::time_point> until) {
  std::vector<pollfd> watched{{.fd = wake_, .events = POLLIN, .revents = 0}};
  for (const Slot& slot : slots_) {
    if (slot.output) slot.output->watch(watched);
    if (slot.hung_up && !slot.process->awaits_word()) {
      watched.push_back({.fd = slot.process->pidfd(), .events = POLLIN, .revents = 0});
    }
  }
  if (fork_server_) fork_server_->watch(watched);
  timespec timeout{};
  if (until) {
    const auto left = std::max(Clock::duration::zero(), *until - Clock::now());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    timeout = {.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
  }
  const WakesBehindOthers here;
  ::ppoll(watched.data(), watched.size(), until ? &timeout : nullptr, nullptr);
  eventfd_t ignored = 0;
  ::eventfd_read(wake_, &ignored);
}

void Supervisor::read_outputs() {
  if (fork_server_) fork_server_->look();
  for (const Slot& slot : slots_) {
    if (slot.output) slot.output->drain();
  }
}

bool Supervisor::is_current(std::uint32_t slot, std::uint64_t epoch) const noexcept {
  return slot < slots_.size() && slots_[slot].link && slots_[slot].link->epoch() == epoch;
}

void Supervisor::spawn(std::uint32_t slot) {
  Slot& place = slots_[slot];
  place.start_at.reset();
  intensity_.started(Clock::now());
  if (const Result<void> spawned = try_spawn(slot); !spawned) {
    if (!can_start()) {  // the fork server was lost: it waits for the next one
      place.start_at = Clock::now();
      return;
    }
    const bool had_process = fork_server_ && fork_server_->has_told_of_death();
    report_start_failure(slot, spawned.error(), had_process);
    return;
  }
  if (place.started_before) metrics_.worker_restarts.add(1);
  place.started_before = true;
}

Result<void> Supervisor::try_spawn(std::uint32_t slot) {
  const std::uint64_t epoch = ipc::has_bug("reuse_epoch") ? slot + 1 : ++epochs_;
  auto channel = ipc::EngineChannel::create(
      epoch, {.request_bytes = config_.ring_bytes,
              .response_bytes = config_.ring_bytes,
              .bulk_bytes = config_.slab_bytes,
              .longest_answer_bytes = longest_answer_bytes(config_.max_payload_bytes),
              .slab = payloads_.slab_descriptor()});
  if (!channel) return tl::unexpected(start_error(channel.error()));
  auto link =
      std::make_shared<Link>(slot, names_[slot], epoch, std::move(*channel), payloads_, states_);
  link->spin.set_limit(std::chrono::microseconds(config_.spin_us));
  auto cgroup = confinement_.make_cgroup(names_[slot], epoch);
  if (!cgroup) return tl::unexpected(std::move(cgroup.error()));
  link->cgroup = std::move(*cgroup);
  auto process = start_process(*link);
  if (!process) return tl::unexpected(std::move(process.error()));
  link->channel().close_child_ends();
  link->pidfd = (*process)->pidfd();
  link->pid = (*process)->pid();
  greet(*link);
  Slot& place = slots_[slot];
  place.link = link;
  place.process = std::move(*process);
  place.output = std::make_unique<Output>(names_[slot], log_, place.process->standard_output(),
                                          place.process->standard_error());
  place.was_ready = false;
  place.failure.reset();
  place.started = Clock::now();
  listener_->opened(std::move(link));
  return {};
}

// A worker waits for its hello before it does anything of its adapter's: by then it is confined.
void Supervisor::greet(Link& link) const {
  link.send_hello({.max_in_flight = config_.max_in_flight,
                   .session_cache = config_.session_cache,
                   .session_cache_bytes = config_.session_cache_bytes,
                   .max_payload_bytes = config_.max_payload_bytes});
  // Answered by the worker's loop: until then it is not ready, whatever it says.
  link.send_signal(wire::MessageType::ping, kReadinessPing);
  if (link.take_ring_due()) link.channel().ring_worker();
}

Result<std::shared_ptr<ipc::ChildProcess>> Supervisor::start_process(Link& link) {
  auto descriptors = link.channel().child_descriptors();
  if (fork_server_) {
    auto forked = fork_server_->fork(link.epoch(), descriptors);
    if (!forked) return forked;
    auto confined = confinement_.confine(**forked, link.cgroup.get());
    if (!confined) return tl::unexpected(std::move(confined.error()));
    return forked;
  }
  const auto settings = Settings::seal(config_);
  if (!settings) return tl::unexpected(settings.error());
  settings->add_to(descriptors);
  auto process = ipc::ChildProcess::spawn(
      {.program = config_.python,
       .arguments = settings->arguments("dspool_worker", config_),
       .environment = worker_environment(config_, environ),
       .descriptors = descriptors,
       .limits = confinement_.limits(),
       .filters_system_calls = config_.seccomp,
       .cgroups = link.cgroup ? link.cgroup->entrances() : std::vector<int>{}});
  if (!process) return tl::unexpected(start_error(process.error()));
  return std::move(*process);
}

void Supervisor::hang_up(Slot& place, bool has_served) {
  place.hung_up = true;
  place.has_served = has_served;
  if (place.wanted && !place.kill_at) {  // one that was drained has until kill_at_
    place.kill_at = Clock::now() + kHangUpGrace;
    place.kill_why = "it has closed its end of the channel, and has not ended";
  }
  count_out(place);
}

// It is not one of those that are ready any more.
void Supervisor::count_out(Slot& place) {
  if (!std::exchange(place.counts, false)) return;
  const std::lock_guard lock(mutex_);
  --ready_;
}

void Supervisor::bury_the_dead() {
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].hung_up) continue;
    if (const auto status = slots_[i].process->try_reap()) bury(i, *status);
  }
}

// The worker's descriptors are closed here, the last of it is read, and what comes next is decided.
void Supervisor::bury(std::uint32_t slot, const ipc::ExitStatus& status) {
  Slot& place = slots_[slot];
  const std::string how = describe_end(status, place.link->cgroup.get());
  const bool has_served = place.has_served;
  read_outputs();
  place.output->flush();
  std::optional<Error> failure = std::move(place.failure);
  const std::string words = place.output->last_words();
  if (!place.was_ready && !failure) failure = died_before_ready(slot, how);
  confinement_.bury(place.link->cgroup);
  place.link.reset();
  place.output.reset();
  place.process.reset();
  place.kill_at.reset();
  place.hung_up = false;
  if (!place.wanted) {
    if (status.signalled || status.code != 0) log_.info("{} ended ({})", names_[slot], how);
    return listener_->vacated(slot);
  }
  if (!place.was_ready) return report_start_failure(slot, std::move(*failure), true);
  if (has_served) place.pause = std::chrono::milliseconds(0);
  const auto pause = has_served ? place.pause : pause_before_restart(place, kMaxPause);
  place.start_at = Clock::now() + pause;
  log_.warning("{} ended ({}) and is replaced{}", names_[slot], how,
               has_served ? "" : fmt::format(" in {} ms: it had answered nothing", pause.count()));
  if (!has_served) note_early_death(died_before_it_served(names_[slot], how, words));
}

std::chrono::milliseconds Supervisor::pause_before_restart(Slot& place,
                                                           std::chrono::milliseconds most) {
  place.pause = place.pause.count() == 0 ? kFirstPause : std::min(place.pause * 2, most);
  return place.pause;
}

void Supervisor::note_early_death(Error why) {
  const auto wanted = std::ranges::count_if(slots_, [](const Slot& slot) { return slot.wanted; });
  const bool was_exhausted = intensity_.is_exhausted();
  intensity_.died(Clock::now(), static_cast<std::uint32_t>(wanted));
  if (!intensity_.is_exhausted()) return;
  why = restarts_exhausted(intensity_.deaths(), config_.restart_window, why);
  if (!was_exhausted) log_.error("{}", why.describe());
  listener_->restarts_exhausted(why);
}

void Supervisor::resume_restarts() {
  log_.info("workers are replaced as they end again");
  for (Slot& slot : slots_) {
    if (slot.start_at) slot.start_at = Clock::now();
  }
  listener_->restarts_resumed();
}

Error Supervisor::died_before_ready(std::uint32_t slot, const std::string& how) const {
  return worker::died_before_ready(names_[slot], how, slots_[slot].output->last_words());
}

void Supervisor::report_start_failure(std::uint32_t slot, Error why, bool had_process) {
  Slot& place = slots_[slot];
  place.start_at =
      Clock::now() + pause_before_restart(place, had_process ? kMaxPause : kMaxPauseWithoutProcess);
  why.worker = names_[slot];
  log_.error("{} could not start, next try in {} ms: {}", names_[slot], place.pause.count(),
             why.describe());
  listener_->start_failed(why);
  if (had_process) note_early_death(why);
  const std::lock_guard lock(mutex_);
  if (!first_failure_) first_failure_ = std::move(why);
  changed_.notify_all();
}

}  // namespace dspool::worker
