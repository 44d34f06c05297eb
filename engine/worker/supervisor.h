// Starts, replaces and ends workers. One thread spawns them all and lives as long as they may
// (PDEATHSIG fires when the spawning thread ends); the same thread reads what they print.
//
// What it owns of a worker: the process, its output, its place in the restart schedule. Who is
// ready and what is in flight is the dispatcher's business; the supervisor hears of a worker's
// readiness and hang-up from the reactor.
//
// Crash: a worker that dies after its first answer is replaced at once; one that dies before that,
// after a pause that doubles up to kMaxPause. Where too many do, see restart_intensity.h. A start
// for which the machine has no process, memory or descriptors is no death and costs little: it is
// tried again within kMaxPauseWithoutProcess.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "dspool/config.h"
#include "dspool/error.h"
#include "engine/telemetry/log.h"
#include "engine/telemetry/metrics.h"
#include "engine/worker/confinement.h"
#include "engine/worker/fork_server.h"
#include "engine/worker/link.h"
#include "engine/worker/output.h"
#include "engine/worker/restart_intensity.h"
#include "ipc/child_process.h"
#include "ipc/payload.h"
#include "ipc/state_segment.h"

namespace dspool::worker {

// Told from the supervisor's thread.
class LinkListener {
 public:
  LinkListener() = default;
  LinkListener(const LinkListener&) = delete;
  LinkListener& operator=(const LinkListener&) = delete;
  virtual ~LinkListener() = default;

  // A worker was spawned; its channel and pidfd are to be watched from now on.
  virtual void opened(std::shared_ptr<Link> link) = 0;
  // A worker could not be started; another try follows.
  virtual void start_failed(const Error& why) = 0;
  // Too many workers have died before they had completed a request, `why` with the last one's last
  // words; told again with each that is tried in vain.
  virtual void restarts_exhausted(const Error& why) = 0;
  // Workers are replaced as they die again.
  virtual void restarts_resumed() = 0;
  // The process of a place that was retired is gone; there is none in it until it is asked for.
  virtual void vacated(std::uint32_t slot) = 0;
};

class Supervisor {
 public:
  // `names` names one worker a slot and outlives *this, as do the others.
  Supervisor(const WorkerConfig& config, std::span<const std::string> names,
             ipc::PayloadStore& payloads, ipc::StateSegment& states, const telemetry::Log& log,
             telemetry::Metrics& metrics);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // A slot is used from the first time that a worker is asked for there.
  // Starts the thread and the workers of the first `count` slots. `listener` outlives *this.
  // Errors: "channel_no_memory" when there is no room for all their channels, "no_cgroup".
  Result<void> start(std::uint32_t count, LinkListener& listener);

  // Starts a worker in this slot, and others in its stead until it is retired. REQUIRES: it has a
  // name.
  void start_in(std::uint32_t slot);
  // From here on no worker is started in this slot. The one that is there, if it `was_told` to
  // drain, has `patience` to end by itself; else it is killed. `LinkListener::vacated` follows.
  void retire(std::uint32_t slot, bool was_told, std::chrono::milliseconds patience);
  // Where restarts are exhausted: lets all workers that are missing be tried at once.
  void try_again();
  // Whether there is memory for the channels of `count` more workers. Any thread. Errors:
  // "channel_no_memory".
  [[nodiscard]] Result<void> check_room(std::uint32_t count) const;

  // ---- what the reactor tells ----
  void ready(std::uint32_t slot, std::uint64_t epoch, std::string_view python);
  // Why the worker cannot start, which it has said, or which shows; it has kHangUpGrace to end.
  void failed(std::uint32_t slot, std::uint64_t epoch, Error why);
  // The worker has hung up, and nobody reads its channel any more. It is replaced when its process
  // has ended, which it is given kHangUpGrace for. `has_served`: it had completed a request, or one
  // that it ran is known to have ended it.
  void lost(std::uint32_t slot, std::uint64_t epoch, bool has_served);

  // Kills the worker if it is still of this epoch.
  void kill(std::uint32_t slot, std::uint64_t epoch, std::string_view why);
  // The same for one that is stuck: with SIGABRT, upon which Python tells the log what all its
  // threads were doing, and after kLastWords with SIGKILL.
  void abort(std::uint32_t slot, std::uint64_t epoch, std::string_view why);

  // Waits until a worker is ready, or the first one could not start: then its error.
  Result<void> wait_first_ready(std::chrono::milliseconds patience);
  // Waits until `count` workers are ready at once; false after `patience`.
  bool wait_ready(std::uint32_t count, std::chrono::milliseconds patience);
  // From here on no worker is started or replaced, and what still runs after `patience` is killed.
  void begin_shut_down(std::chrono::milliseconds patience);
  // Waits for the last worker's end. The reactor must go on telling of deaths until this returns.
  void finish_shut_down();

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kFirstPause{100};
  static constexpr std::chrono::milliseconds kMaxPause{10'000};
  static constexpr std::chrono::milliseconds kMaxPauseWithoutProcess{1'000};
  static constexpr std::chrono::milliseconds kLastWords{1'000};
  static constexpr std::chrono::milliseconds kHangUpGrace{2'000};

  // A place for a worker, used by the supervisor's thread only.
  struct Slot {
    std::shared_ptr<Link> link;  // null: none lives here
    std::shared_ptr<ipc::ChildProcess> process;
    std::unique_ptr<Output> output;
    bool wanted = false;
    bool was_ready = false;
    bool counts = false;  // in ready_
    bool started_before = false;
    std::optional<Error> failure;
    std::chrono::milliseconds pause{0};
    std::optional<Clock::time_point> start_at;  // the next start
    Clock::time_point started;
    std::optional<Clock::time_point> kill_at;
    std::string_view kill_why;
    bool hung_up = false;
    bool has_served = false;  // known when it has hung up
  };
  using Command = std::function<void()>;

  void post(Command command);
  void run();
  void wait_for_events(std::optional<Clock::time_point> until);
  void read_outputs();
  [[nodiscard]] std::optional<Clock::time_point> next_due() const;
  void act_on_time();
  void spawn(std::uint32_t slot);
  Result<void> try_spawn(std::uint32_t slot);
  // Whether workers can begin now, or it is known why they cannot.
  [[nodiscard]] bool can_start() { return !fork_server_ || fork_server_->settle(); }
  Result<std::shared_ptr<ipc::ChildProcess>> start_process(Link& link);
  void greet(Link& link) const;
  void hang_up(Slot& place, bool has_served);
  void count_out(Slot& place);
  void bury_the_dead();
  void bury(std::uint32_t slot, const ipc::ExitStatus& status);
  void report_start_failure(std::uint32_t slot, Error why, bool had_process);
  void note_early_death(Error why);
  void resume_restarts();
  static std::chrono::milliseconds pause_before_restart(Slot& place,
                                                        std::chrono::milliseconds most);
  [[nodiscard]] Error died_before_ready(std::uint32_t slot, const std::string& how) const;
  [[nodiscard]] bool is_current(std::uint32_t slot, std::uint64_t epoch) const noexcept;

  const WorkerConfig config_;
  std::span<const std::string> names_;
  ipc::PayloadStore& payloads_;
  ipc::StateSegment& states_;
  const telemetry::Log& log_;
  telemetry::Metrics& metrics_;
  LinkListener* listener_ = nullptr;
  std::vector<Slot> slots_;
  std::uint64_t epochs_ = 0;
  RestartIntensity intensity_;
  Confinement confinement_;
  std::unique_ptr<ForkServer> fork_server_;  // null: workers are spawned
  bool stopping_ = false;
  std::optional<Clock::time_point> kill_at_;

  std::mutex mutex_;  // guards what follows; never held while anything else is locked
  std::condition_variable changed_;
  std::deque<Command> commands_;
  std::uint32_t ready_ = 0;
  std::optional<Error> first_failure_;

  int wake_;  // eventfd
  std::thread thread_;
};

}  // namespace dspool::worker
