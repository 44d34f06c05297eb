// The one lock around the dispatcher, and what is done after it is released: workers are rung,
// callers are woken, completions run, hand-offs are enqueued. Nothing of that happens under the
// lock, so a step is short, and a batch of events costs one.
//
// Lock order: within the gate's mutex those of SessionTable, EventHistory, tombstones, links'
// outboxes, the supervisor's queue and those of streams are taken, and nobody who has one of these
// takes the gate's.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/dispatch/arena.h"
#include "engine/dispatch/chunk_stream.h"
#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/secret_text.h"
#include "engine/dispatch/stream_port.h"
#include "engine/dispatch/transport.h"
#include "engine/dispatch/waker.h"
#include "engine/worker/link.h"
#include "engine/worker/supervisor.h"

namespace dspool::dispatch {

// A call with somebody to tell: a thread that blocks, or a completion.
struct OwnedCall : Call {
  enum class Owner : std::uint8_t { kBlocked, kSubmitted, kMoved };
  explicit OwnedCall(Owner who) noexcept : owner(who) {}

  Owner owner;
};

// Lives on the stack of the thread that waits for it.
struct BlockingCall : OwnedCall {
  BlockingCall() noexcept : OwnedCall(Owner::kBlocked) {}

  // Set last of all that is done to the call; then it is the waiting thread's again: it has its
  // result, or where that is not there, its turn to read fields.
  std::atomic<std::uint32_t> done{0};
  [[nodiscard]] bool is_done() const noexcept { return done.load(std::memory_order_acquire) != 0; }

  bool is_in_crowd = false;  // under the gate's lock
};

// Owns what it was submitted with; deletes itself after its completion has run.
struct SubmittedCall : OwnedCall {
  SubmittedCall() noexcept : OwnedCall(Owner::kSubmitted) {}

  std::string owned_command;
  std::string owned_key;
  std::unique_ptr<LanguageModel> owned_model;  // of a call that sets one
  std::optional<KeyWiper> key_wiper;           // which ends before it
  Value owned_args;
  Completion completion;
  std::uint64_t public_id = 0;
  std::unique_ptr<ChunkStream> stream;  // null: nobody listens to chunks
};

class MoveSink;

// Brings a session to a worker for nobody's sake. Its sink's when it has ended.
struct MoveCall : OwnedCall {
  explicit MoveCall(MoveSink& told) noexcept : OwnedCall(Owner::kMoved), sink(&told) {}

  MoveSink* sink;
};

class MoveSink {
 public:
  MoveSink() = default;
  MoveSink(const MoveSink&) = delete;
  MoveSink& operator=(const MoveSink&) = delete;
  virtual ~MoveSink() = default;

  // Outside of all steps, on any thread.
  virtual void has_ended(MoveCall& call) = 0;
};

class Gate final : private Transport, private CallListener {
 public:
  using Clock = std::chrono::steady_clock;
  using Executor = std::function<void(std::function<void()>)>;

  struct Parts {
    store::Store& store;
    Archive* archive;  // null: there is no durable store
    session::SessionTable& sessions;
    session::Tombstones& tombstones;
    telemetry::Metrics& metrics;
    telemetry::EventHistory& history;
    worker::Supervisor& supervisor;
    Waker& reactor;
    Waker& steward;
    Waker& monitor;
  };

  // Without an executor, completions run on the reactor.
  Gate(const Limits& limits, const Parts& parts, std::span<const std::string> worker_names,
       std::uint64_t seed, Executor executor);
  ~Gate() override { port_->close(); }

  // Steps the dispatcher: `step(dispatcher, now)` under the lock, then everything it caused. Half a
  // step cannot be undone: where there is no memory within one, the process ends.
  template <typename Step>
  void step(Step&& step) {
    Effects effects;
    const auto take = [&]() noexcept {
      const std::lock_guard lock(mutex_);
      effects_ = &effects;
      step(dispatcher_, now());
      effects_ = nullptr;
      watch_timers(effects);
    };
    take();
    carry_out(effects);
  }
  // The same for a question.
  template <typename Question>
  auto ask(Question&& question) const {
    const std::lock_guard lock(mutex_);
    return question(std::as_const(dispatcher_), now());
  }

  // ---- callers ----
  struct Admission {
    bool gone = false;  // the session was ended: look its name up again
    // The link whose answers the calling thread may read itself, since nothing but this call is in
    // flight there: its receive token is taken, and the worker told to ring nobody. Null: somebody
    // else reads.
    std::shared_ptr<worker::Link> to_read;
    bool crowded = false;  // it should sleep without spinning
  };
  Admission arrive(BlockingCall& call);
  // false: the session was ended. Gives the call its public id, and owns it otherwise.
  bool arrive(SubmittedCall& call, std::uint64_t& public_id);
  // `cause`: as Dispatcher::cancel has it.
  bool cancel(std::uint64_t public_id, std::string cause = {});
  // Ends a call whose turn to read fields has come.
  void finish_reading(BlockingCall& call, Result<Value> fields);
  // Waits until no call has that turn. To be called once no more calls are admitted.
  void wait_for_readers();
  // Whether the call is one that this worker works on, ahead of all others, so that it is not taken
  // back and its answer can only come from there.
  [[nodiscard]] bool runs_on(const Call& call, std::uint32_t worker) const;
  // Its caller looks for the answer no more, or sleeps for long, and takes a core from nobody.
  void leave_crowd(BlockingCall& call);
  // Tells `done` of a call's end that came without the dispatcher.
  void complete(Completion done, Result<Answer> result);

  // ---- streams (gate_streams.cc) ----
  // For SubmittedCall::stream. `executor` empty: where completions run.
  [[nodiscard]] std::unique_ptr<ChunkStream> open_stream(ChunkHandler handler,
                                                         const Executor& executor);
  // The caller has consumed the first so many chunks of this attempt.
  void consumed(std::uint32_t worker, std::uint64_t request_id, std::uint64_t chunks);
  // The reactor is to run the call's completion, or to take its turn where it streams.
  void complete_on_reactor(SubmittedCall& call);

  // Ends the sessions that are left, some at a time. REQUIRES: as Dispatcher::end_sessions.
  void end_sessions();

  // ---- workers ----

  // What a holder of the link's token received. Kills the worker when something in it is wrong.
  void deliver(worker::Link& link, std::span<worker::Letter> letters);

  // A worker's channel is there, and is gone. REQUIRES: the token, for `close`.
  void open(std::shared_ptr<worker::Link> link);
  // `close` returns whether the worker had served anything, or is known to have died of a request.
  // After it `bury` has it replaced.
  bool close(worker::Link& link, std::string_view how);
  void bury(const worker::Link& link, bool has_served);
  // The worker has hung up: it gets no more work. One that has some, and may be busy with it, is
  // killed before anybody else can get that.
  void hung_up(worker::Link& link);

  // What is open, one a slot; null: none.
  [[nodiscard]] std::vector<std::shared_ptr<worker::Link>> links() const;
  // Asks a worker that has no work to end.
  enum class Withdrawn : std::uint8_t {
    kTold,
    kNotTold,  // it cannot be: it is to be killed
    kBusy,     // it has work, gets no more, and is to be asked again when that is done
  };
  [[nodiscard]] Withdrawn withdraw(std::uint32_t worker);
  // Sends a record without a body to every worker that is up, and a ping only to those that owe no
  // answer to another; those that were sent it.
  std::vector<std::shared_ptr<worker::Link>> signal_all(wire::MessageType type, std::uint64_t id);

  // ---- the reactor ----
  // Until when it may sleep, at most until `latest`: it is woken if a nearer deadline comes up.
  [[nodiscard]] TimePoint plan_wake(TimePoint latest);
  // Enqueues the sweep of due timers.
  void sweep();
  // To be called once a second: has a worker replaced that has had no work for kSilentLooks of
  // these, and does not wait for any, as its heart would tell. One that works is judged by its
  // deadlines.
  void listen_to_hearts();
  // Runs the completions that are due; true: they have caused others. Only the reactor calls it.
  bool run_completions();

  [[nodiscard]] Arena& arena() noexcept { return arena_; }

  [[nodiscard]] static TimePoint now() noexcept {
    return std::chrono::time_point_cast<std::chrono::nanoseconds>(Clock::now());
  }

 private:
  // What a step caused, to be carried out without the lock.
  struct Effects {
    std::shared_ptr<worker::Link> ring;  // a step seldom wakes more than one worker
    std::vector<std::shared_ptr<worker::Link>> more_rings;
    Call* first_told = nullptr;  // linked by next_told
    Call* last_told = nullptr;
    bool hand_off = false;
    bool make_room = false;
    bool wake_reactor = false;
    bool wake_steward = false;
    bool wake_monitor = false;
  };

  Sent send(std::uint32_t worker, const Request& request) override;
  void cancel(std::uint32_t worker, std::uint64_t request_id) override;
  std::uint64_t begun(std::uint32_t worker) override;
  std::uint64_t recall(std::uint32_t worker) override;
  void kill(std::uint32_t worker, std::string_view why) override;
  void ended(Call& call) override;
  void turn_came(Call& call) override;
  void chunk_came(Call& call, Chunk chunk) override;
  void hand_off_due() override;
  void room_due() override;
  void fleet_due() override { effects_->wake_steward = true; }
  void health_changed() override { effects_->wake_monitor = true; }

  [[nodiscard]] bool crowded() const noexcept;
  void tell_later(Call& call) noexcept;
  void ring_later(const std::shared_ptr<worker::Link>& link);
  void tell_model(worker::Link& link, const worker::ModelNews& news);
  void watch_timers(Effects& effects);
  void carry_out(Effects& effects);
  void tell(OwnedCall& call);
  static void post_turn(SubmittedCall& call);
  static void take_turn(SubmittedCall& call);
  void hand_off();
  void make_room();
  void sweep_on();
  void condemn(worker::Link& link);

  const Parts parts_;
  Executor executor_;
  const std::shared_ptr<StreamPort> port_ = std::make_shared<StreamPort>(*this);

  mutable std::mutex mutex_;                          // guards what follows
  std::vector<std::shared_ptr<worker::Link>> links_;  // one a slot, null: none
  Dispatcher dispatcher_;
  Effects* effects_ = nullptr;
  const std::uint32_t cores_ = std::thread::hardware_concurrency();
  std::uint32_t crowd_ = 0;  // callers that read their own answers, and have not slept for long
  std::uint32_t readers_ = 0;
  std::condition_variable nobody_reads_;
  bool hand_off_enqueued_ = false;
  bool room_enqueued_ = false;
  bool sweep_enqueued_ = false;
  TimePoint reactor_wakes_ = TimePoint::max();
  std::vector<SubmittedCall*> submitted_;  // by the low bits of their public id
  std::vector<std::uint32_t> free_submitted_;
  std::uint64_t submissions_ = 0;

  std::mutex completions_mutex_;  // guards what follows
  std::vector<SubmittedCall*> completions_;
  std::vector<SubmittedCall*> running_completions_;  // the reactor's; keeps its capacity

  Arena arena_;  // last: its tasks use all of the above
};

}  // namespace dspool::dispatch
