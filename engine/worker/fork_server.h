// The start method `forkserver`: a process that has imported the adapter, once, and forks a worker
// when it is asked to, with the descriptors that are sent along. A worker so begins in the time of
// a fork, and shares the memory of what was imported for as long as nobody writes to it.
//
// The server is the workers' parent: only it can wait for them, so it reaps them and tells how they
// ended. It dies with the engine (PDEATHSIG, and its socket hangs up), its workers do so by their
// lifelines. When it dies by itself they live on, and another server takes its place; until that
// one has imported the adapter no worker begins.
//
// Threads: all functions are the supervisor's thread's, which lives as long as the server may.
// Trust: a server runs the adapter's code. One that says what cannot be, or is silent for
// too long, is killed.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dspool/config.h"
#include "dspool/error.h"
#include "engine/telemetry/log.h"
#include "engine/worker/fork_codec.h"
#include "engine/worker/output.h"
#include "ipc/child_process.h"
#include "ipc/control_message.h"
#include "ipc/file_descriptor.h"

namespace dspool::worker {

class ForkServer {
 public:
  using Clock = std::chrono::steady_clock;

  // Starts nothing yet. `config` and `log` outlive *this.
  ForkServer(const WorkerConfig& config, const telemetry::Log& log);
  ForkServer(const ForkServer&) = delete;
  ForkServer& operator=(const ForkServer&) = delete;
  ~ForkServer();

  // Whether `fork` can say now what comes of it. Starts a server where there is none.
  [[nodiscard]] bool settle();
  // Whether it begins or ends just now; it wakes who watches it when that is over.
  [[nodiscard]] bool is_under_way() const noexcept {
    return !failure_ && (state_ == State::kStarting || state_ == State::kEnding);
  }
  // A worker whose descriptors are these, as (here, number in the worker). Errors: those of the
  // adapter's import, "fork_refused" (it must be spawned), "worker_died", "start_timeout",
  // "spawn_failed". An error after which `settle` is false is none of the worker's: the server
  // was lost, and the next one is to be asked. REQUIRES: settle().
  Result<std::shared_ptr<ipc::ChildProcess>> fork(
      std::uint64_t epoch, const std::vector<std::pair<int, int>>& descriptors);
  // Whether what `fork` has just told is that a server has died, or had to be killed, as it began:
  // such a worker counts as dead, one for which there were no resources does not.
  [[nodiscard]] bool has_told_of_death() const noexcept {
    return failure_was_told_ && failure_had_process_;
  }

  // ---- what the supervisor's loop does in each round ----
  void watch(std::vector<pollfd>& watched) const;
  // Takes in what the server has said and printed, and replaces one that has died.
  void look();
  // From here on a server that dies is not replaced.
  void be_last() noexcept { is_last_ = true; }
  // When `look` has something to do at the latest.
  [[nodiscard]] std::optional<Clock::time_point> due() const noexcept;

 private:
  static constexpr std::chrono::seconds kOrderPatience{20};  // until it has forked, or refused
  static constexpr std::chrono::seconds kWordPatience{10};   // until it has said how a worker ended

  enum class State {
    kNone,
    kStarting,  // it imports the adapter
    kReady,
    kEnding,  // nobody listens to it any more
  };
  struct Forked {
    std::weak_ptr<ipc::ChildProcess> process;
    std::optional<Clock::time_point> seen_to_end{};
  };

  void start();
  Result<void> try_start();
  Result<ipc::FileDescriptor> order(std::uint64_t epoch, std::span<const int> descriptors,
                                    std::span<const int> numbers);
  void receive();
  void take(const ForkReport& report, ipc::ControlMessage& message);
  void look_for_ends();
  void kill(std::string_view why);
  void end_it();
  void fail(Error why, bool had_process);
  void bury(const ipc::ExitStatus& status);

  const WorkerConfig& config_;
  const telemetry::Log& log_;
  std::optional<Error> failure_;  // why there is no server
  bool failure_had_process_ = false;
  bool failure_was_told_ = false;  // another try may follow
  bool is_awaited_ = false;        // somebody will be told

  // The server.
  State state_ = State::kNone;
  std::unique_ptr<ipc::ChildProcess> process_;
  std::unique_ptr<Output> output_;
  ipc::FileDescriptor socket_;
  Clock::time_point started_;
  bool was_ready_ = false;
  bool has_forked_ = false;
  bool lost_at_first_order_ = false;  // the next one would be, too
  bool has_explained_ = false;        // `failure_` said why it had to end
  bool is_last_ = false;

  std::uint64_t ordered_ = 0;                         // the epoch of the order under way
  ipc::FileDescriptor forked_pidfd_;                  // what came of it, or
  std::optional<Error> refusal_;                      // why nothing did
  std::unordered_map<std::uint64_t, Forked> forked_;  // by epoch; how they ended was not told yet
};

}  // namespace dspool::worker
