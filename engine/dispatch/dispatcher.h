// One request's life as a state machine: admit -> session queue -> checkout -> send -> commit ->
// reply -> next in the session. It is stepped by events, never blocks, reads no clock and owns no
// thread: time, randomness, the transport and the store are passed in, so that the engine and the
// simulation (tests/sim) run the same code.
//
// Not thread-safe: one step at a time (Gate serialises the engine's).
//
// Invariants
//   I1  a session has at most one attempt in flight: its phase is kRunning exactly then.
//   I2  only the head of a session's queue waits for a slot, so one busy session holds up nobody.
//   I3  a call ends exactly once: `CallListener::ended` is told in the step that ends it.
//   I4  a session stands in the waiting list exactly while its phase is kWaiting. One that expects
//       a worker does so only while that has attempts in flight, or is kept for it. One whose call
//       is to be tried again stands there too, and nobody takes it before its pause is over.
//   I5  a session has at most one errand on the durable store under way, or waits for memory to
//       go on with one: its phase is kArchived exactly then, and nothing else changes its record.
//   I6  the record of a session in phase kRead is a caller's to read outside of all steps: nobody
//       changes it, and nobody runs in the session.
//   I7  a worker that is kept for a session is given nothing but that, from when it has nothing
//   else
//       to do until that session's attempt is over.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dspool/config.h"
#include "dspool/session.h"
#include "engine/dispatch/archive.h"
#include "engine/dispatch/call.h"
#include "engine/dispatch/journal.h"
#include "engine/dispatch/language_models.h"
#include "engine/dispatch/seating.h"
#include "engine/dispatch/shedder.h"
#include "engine/dispatch/transport.h"
#include "engine/dispatch/waiting_list.h"
#include "engine/dispatch/worker_slots.h"
#include "engine/resilience/breakers.h"
#include "engine/resilience/retry_budget.h"
#include "engine/session/residents.h"
#include "engine/session/session.h"
#include "engine/session/timer_wheel.h"
#include "engine/session/tombstones.h"
#include "engine/store/store.h"
#include "engine/telemetry/event_history.h"
#include "engine/telemetry/metrics.h"

namespace dspool::dispatch {

struct Limits {
  std::uint32_t max_in_flight = 1;
  std::uint32_t pipeline = 8;
  std::uint32_t session_queue = 16;
  std::uint32_t queue = 0;      // 0: kQueuedPerSlot for each slot of the pool
  std::uint32_t pool_size = 0;  // the workers that a queue of that kind is measured by; 0: all
  std::chrono::milliseconds checkout_timeout{10'000};
  bool sheds_overload = true;  // who would wait for long is refused while the pool is overloaded
  std::chrono::milliseconds cancel_grace{5'000};
  Affinity affinity = Affinity::kHint;
  // At most this long a session waits for the worker where it is warm while others are idle.
  std::chrono::milliseconds longest_wait_for_warm{50};
  std::chrono::milliseconds session_ttl{0};     // of one that a call makes; 0: it does not expire
  Durability durability = Durability::kMemory;  // likewise
  std::uint32_t first_places = 0;  // places that are open from the start; 0: one for each name
  std::uint64_t max_requests = 0;  // the fleet is told when a worker has answered so many; 0: never
  RetryConfig retry{};
  CircuitBreakerConfig circuit_breaker{};
};

// What the dispatcher works on and tells things to. All outlive it.
struct Ports {
  Transport& transport;
  store::Store& store;
  Archive* archive;  // null: there is no durable store
  CallListener& listener;
  session::SessionTable& sessions;
  session::Tombstones& tombstones;
  telemetry::Metrics& metrics;
  telemetry::EventHistory& history;
};

enum class Loss : std::uint8_t {
  kDeath,      // the process ended
  kViolation,  // its channel held what the protocol forbids
};

class Dispatcher {
 public:
  // `worker_names` names one worker a place, also where none is open yet, and outlives *this.
  Dispatcher(const Limits& limits, const Ports& ports, std::span<const std::string> worker_names,
             std::uint64_t seed, TimePoint start);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // ---- events of callers ----
  // Admits a call, or ends it with a refusal. false: its session was ended in the meantime, and
  // nothing happened: look the name up again.
  [[nodiscard]] bool arrive(Call& call, TimePoint now);
  // Uses a session without a call: it lives on for its ttl. false: it was ended in the meantime,
  // and nothing happened.
  bool touch(session::Session& session, TimePoint now);
  // Ends a call that has not ended. REQUIRES: it arrived and has not ended, nor has its turn to
  // read come. `cause`: why, in the words of whoever does it.
  void cancel(Call& call, TimePoint now, std::string cause = {});
  // Ends a call whose turn has come (`CallListener::turn_came`) with what it read.
  void has_read(Call& call, Result<Value> fields, TimePoint now);

  // ---- events of workers ----
  void worker_ready(std::uint32_t worker, std::uint64_t epoch, TimePoint now);
  // false: it cannot be so: no such attempt is in flight there, or it could not come to this; the
  // worker must be killed.
  [[nodiscard]] bool answered(std::uint32_t worker, std::uint64_t request_id, Outcome& outcome,
                              TimePoint now);
  // A chunk ahead of an answer; takes its value. false: as for `answered`.
  [[nodiscard]] bool chunk_came(std::uint32_t worker, std::uint64_t request_id,
                                worker::ChunkReport& chunk);
  // The caller has consumed the first so many chunks of an attempt. false: that is over, or waited
  // for no more, and its worker need not be told.
  [[nodiscard]] bool chunks_consumed(std::uint32_t worker, std::uint64_t request_id,
                                     std::uint64_t chunks);
  // No more work for this worker, whose death is to come; that nobody asked for, if it has hung up.
  void doom(std::uint32_t worker, TimePoint now);
  void hung_up(std::uint32_t worker, TimePoint now);
  void worker_lost(std::uint32_t worker, Loss loss, std::string_view how, TimePoint now);
  // Why the last worker that could not start did not.
  void start_failed(std::string_view last_words) { last_words_ = last_words; }
  // Workers are not replaced as they die any more, for this reason; nothing: they are again. While
  // none is there, calls that need one end with it.
  void set_no_starts(std::optional<Error> why, TimePoint now);

  // ---- quarantine (dispatcher_isolation.cc) ----
  // Lets workers have the session again, and repeats of quarantined calls run. false: it was ended
  // in the meantime.
  bool release_from_quarantine(session::Session& session, TimePoint now);

  // ---- orders of the fleet (dispatcher_fleet.cc) ----
  // Makes room for workers in the first `count` places. REQUIRES: they have names.
  void open_places(std::uint32_t count);
  // The place's next worker takes work when it is ready.
  void prepare_place(std::uint32_t worker);
  // No new attempts for the worker; the listener is told when none is left.
  void drain(std::uint32_t worker, TimePoint now);
  // The same, and for a worker that is not ready yet; its end is no loss. true: it was told nothing
  // yet, and is to be sent `drain`.
  bool withdraw(std::uint32_t worker, TimePoint now);
  // A ready worker takes no work until it is asked to.
  void set_resting(std::uint32_t worker, bool rests, TimePoint now);
  // Tells the listener once, when a session waits and no worker has room.
  void watch_waiting();
  // Where a session that leaves a worker had best go: to one without work, which has the fewest
  // warm sessions, less than `below`. Nothing: none is free now.
  [[nodiscard]] std::optional<std::uint32_t> pick_target(std::uint32_t leaves,
                                                         std::uint64_t below) const noexcept;
  [[nodiscard]] bool is_warm_at(const session::Session& session,
                                const session::WarmAt& at) const noexcept {
    return session.warm == at && at.epoch != 0;
  }

  // ---- events of the durable store ----
  // What came of an errand; of an unknown one, this is told twice.
  void archived(Errand& errand, TimePoint now);
  // Sees that there is room in the state segment, boundedly; true: there is more to do.
  bool make_room(TimePoint now);

  // ---- events of time ----
  // Fires due timers, boundedly many; true: more are due.
  bool advance(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_timer(TimePoint now) const;
  // The earliest timer that was armed since this was asked last; TimePoint::max(): none.
  [[nodiscard]] TimePoint take_earliest_armed() noexcept {
    return std::exchange(earliest_armed_, TimePoint::max());
  }
  // Grants free slots to waiting sessions, boundedly many; true: more can be granted.
  bool hand_off(TimePoint now);

  // Ends all calls that wait; no call is admitted from here on.
  void stop(TimePoint now);
  // Ends the sessions that are left, boundedly many; true: there are more. REQUIRES: stopped, and
  // all calls, attempts and errands are over.
  bool end_sessions(TimePoint now);

  // The workers that the pool is to have, from here on.
  void set_pool_size(std::uint32_t workers) noexcept { pool_size_ = workers; }
  // The pool's language model, which was resolved: of every attempt sent from here on whose session
  // has none of its own.
  void set_lm(const LanguageModel& model);
  [[nodiscard]] std::size_t language_models() const noexcept { return models_.size(); }

  // ---- circuit breakers (dispatcher_breakers.cc) ----
  [[nodiscard]] std::vector<BreakerInfo> breakers(TimePoint now) const {
    return breakers_.describe(now);
  }
  // false: there is none of this name.
  [[nodiscard]] bool isolate_breaker(std::string_view name);
  [[nodiscard]] bool close_breaker(std::string_view name);

  // ---- what it is like now ----
  [[nodiscard]] std::uint32_t waiting_calls() const noexcept { return waiting_calls_; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_; }
  // Of those that wait for any worker, who does so for longest; null: none does.
  [[nodiscard]] const session::Session* oldest_waiting() const noexcept {
    return waiting_.oldest();
  }
  [[nodiscard]] std::uint32_t waiting_sessions() const noexcept {
    return static_cast<std::uint32_t>(waiting_.size());
  }
  [[nodiscard]] std::uint32_t workers() const noexcept {
    return static_cast<std::uint32_t>(workers_.size());
  }
  [[nodiscard]] const WorkerSlot& worker(std::uint32_t index) const { return *workers_[index]; }
  [[nodiscard]] std::uint32_t ready_workers() const noexcept { return ready_; }
  [[nodiscard]] bool overloaded() const noexcept {
    return limits_.sheds_overload && shedder_.overloaded();
  }
  // How long a command takes, and how much longer where its session is not warm; 0: not known yet.
  [[nodiscard]] std::chrono::nanoseconds service_time() const noexcept;
  [[nodiscard]] std::chrono::nanoseconds miss_cost() const noexcept;
  // `wall`: what people's clocks say at `now`.
  [[nodiscard]] SessionInfo describe(const session::Session& session, TimePoint now,
                                     std::chrono::system_clock::time_point wall) const;

 private:
  enum class Granted : std::uint8_t { kSent, kFull, kEnded };

  // -- admission --
  [[nodiscard]] std::optional<Error> refusal(Call& call, TimePoint now);
  [[nodiscard]] std::uint32_t queue_limit() const noexcept;
  void forget_if_unused(session::Session& session) noexcept;

  // -- sessions --
  void offer(session::Session& session, TimePoint now);
  [[nodiscard]] bool serve(session::Session& session, Call& call, TimePoint now);
  void visit(session::Session& session, Call& call, TimePoint now);
  void let_read(session::Session& session, Call& call);
  void update_fields(session::Session& session, Call& call, TimePoint now);
  void begin(session::Session& session, const SessionTerms& terms, TimePoint now);

  // -- language models (dispatcher_models.cc) --
  [[nodiscard]] const LanguageModels::Known* model_of(
      const session::Session& session) const noexcept;
  void set_model(session::Session& session, Call& call, TimePoint now);
  void use_model(session::Session& session, std::uint32_t number, TimePoint now);
  void renew_permits(session::Session& session, TimePoint now);
  void drop_model(session::Session& session) noexcept;
  [[nodiscard]] bool restore_model(session::Session& session, const Errand& errand);
  [[nodiscard]] bool refuse_without_key(session::Session& session, TimePoint now);
  void tell_model(const Attempt& attempt, std::uint32_t number, worker::ModelNews& news);
  void refuse_heads(session::Session& session, const Error& error, TimePoint now);
  void refuse_all(session::Session& session, const Error& error, TimePoint now);
  void watch_expiry(session::Session& session, TimePoint now) noexcept;
  [[nodiscard]] bool answer_again(session::Session& session, Call& call, TimePoint now);
  [[nodiscard]] static const session::StoredAnswer* find_answer(const session::Session& session,
                                                                const Call& call, TimePoint now);
  void repeat(const session::StoredAnswer& stored, Call& call, TimePoint now);
  Call& take_head(session::Session& session) noexcept;
  void leave_queue(Call& call);

  // -- checkout --
  [[nodiscard]] std::optional<std::uint32_t> check_out(session::Session& session, TimePoint now);
  void wait(session::Session& session, bool first, TimePoint now);
  void tell_of_waiting();
  void expect(session::Session& session, std::uint32_t worker, TimePoint now);
  void stop_expecting(session::Session& session, TimePoint now);
  void release_expecting(std::uint32_t worker, TimePoint now);
  void serve_expecting(WorkerSlot& worker, TimePoint now);
  void arm_wait(Call& call, TimePoint now) noexcept;
  [[nodiscard]] std::chrono::nanoseconds patience(const session::Session& session) const noexcept;
  [[nodiscard]] std::optional<std::uint32_t> pick_worker() noexcept;
  [[nodiscard]] bool is_warm(const session::Session& session, std::uint32_t worker) const noexcept;
  void set_warm(session::Session& session, session::WarmAt warm) noexcept;

  // -- retries (dispatcher_retries.cc) --
  [[nodiscard]] bool retry(Attempt& attempt, Error& error, TimePoint now);
  [[nodiscard]] bool may_repeat(const Call& call, const Error& error) const noexcept;
  void back_off(session::Session& session, std::chrono::nanoseconds pause, TimePoint now);
  void come_back(session::Session& session, TimePoint now);

  // -- circuit breakers (dispatcher_breakers.cc) --
  [[nodiscard]] std::optional<Error> ask_breakers(Call& call, TimePoint now);
  [[nodiscard]] std::optional<Error> ask_again(Call& call, TimePoint now);
  [[nodiscard]] resilience::ProviderBreaker* provider_for(const Call& call) noexcept;
  [[nodiscard]] std::optional<Error> refuse_by(resilience::NamedBreaker& breaker, TimePoint now);
  void note_answer(Call& call, const Outcome& outcome, TimePoint now);
  void note_provider_failure(Call& call, const Error& error, TimePoint now);
  void note_timeout(Call& call, TimePoint now);
  bool note_pool_failure(Call& call, std::string_view what, TimePoint now);
  [[nodiscard]] bool counts_as_failure(const WorkerSlot& lost) const noexcept;
  void return_permits(Call& call, TimePoint now) noexcept;
  bool record(resilience::NamedBreaker& of, resilience::Permit& permit,
              resilience::CallOutcome outcome, TimePoint now);

  // -- who is alone on a worker, and what a death says of whom (dispatcher_isolation.cc) --
  [[nodiscard]] static bool must_be_alone(const session::Session& session) noexcept;
  void wait_alone(session::Session& session, TimePoint now);
  void seat_alone(TimePoint now);
  void serve_kept(WorkerSlot& worker, TimePoint now);
  void stop_keeping(WorkerSlot& worker);
  void stop_waiting(session::Session& session);
  [[nodiscard]] WorkerSlot* pick_for_alone() const noexcept;
  [[nodiscard]] std::optional<Error> blame(const Attempt& attempt, std::string_view how);
  static void acquit(session::Session& session) noexcept;
  [[nodiscard]] bool refuse_quarantined(session::Session& session, Call& call, TimePoint now);
  [[nodiscard]] bool nobody_serves() const noexcept;
  void refuse_waiting(TimePoint now);

  // -- moves (dispatcher_moves.cc) --
  [[nodiscard]] bool move(session::Session& session, Call& call, TimePoint now);
  void moved(session::Session& session, const Attempt& attempt, const session::WarmAt& warm,
             TimePoint now);

  // -- slots --
  [[nodiscard]] bool has_room(const WorkerSlot& worker) const noexcept;
  void note_room(const WorkerSlot& worker) noexcept;
  void set_state(WorkerSlot& worker, WorkerState state) noexcept;
  void stop_serving(WorkerSlot& slot, WorkerState state, TimePoint now);
  void note_grant(const session::Session& session, const Call& call, std::uint32_t worker,
                  TimePoint now) noexcept;
  Granted grant(session::Session& session, std::uint32_t worker, TimePoint now);
  Sent send(Attempt& attempt, Call& call, bool hydrate);
  void watch_ring(WorkerSlot& worker, TimePoint now);
  void ring_watch_fired(WorkerSlot& worker, TimePoint now);
  void recall(WorkerSlot& worker, TimePoint now);
  void take_back(Attempt& attempt, TimePoint now);

  // -- the durable store --
  [[nodiscard]] bool is_kept(const session::Session& session) const noexcept;
  void hand_over(std::unique_ptr<Errand> errand);
  void start(std::unique_ptr<Errand> errand) const;
  void start(session::Session& session, Errand::Kind kind, Call* call,
             const SessionTerms* anew = nullptr);
  void loaded(session::Session& session, Errand& errand, TimePoint now);
  void committed(session::Session& session, Errand& errand, TimePoint now);
  void parked(session::Session& session, const Errand& errand, TimePoint now);
  void absent(session::Session& session);
  void corrupted(session::Session& session, Error why);
  void go_on(session::Session& session, TimePoint now);
  void starve(std::unique_ptr<Errand> errand);
  bool feed(TimePoint now);
  void release(session::Session& session);
  void drop_starved(const Errand& errand);
  void fail_starved(const Error& why, TimePoint now);
  [[nodiscard]] bool evict(session::Session& session);

  // -- ends of sessions --
  void end_session(session::Session& session, Call& call, TimePoint now);
  void expiry_fired(session::Session& session, TimePoint now);
  void finish(session::Session& session, SessionEnd why, TimePoint now, Call* call = nullptr,
              const SessionTerms* anew = nullptr);
  void clear(session::Session& session);
  void refuse_where_absent(session::Session& session, TimePoint now);
  void retire(session::Session& session);

  // -- ends of calls --
  [[nodiscard]] bool is_possible(const Attempt& attempt, const Outcome& outcome,
                                 TimePoint now) const noexcept;
  // What a call did to its session, to be made state.
  struct Change {
    session::Delta* delta = nullptr;          // null: nothing
    std::vector<std::byte>* bytes = nullptr;  // what it looks into, if that can be kept
    std::vector<std::uint8_t> result = {};
    std::uint64_t state_id = 0;
    session::WarmAt warm = {};
    std::optional<std::uint32_t> model = {};  // that the session has from then on, taken for it
  };
  void commit(Attempt& attempt, Outcome& outcome, TimePoint now);
  void commit(session::Session& session, Call& call, Change change, TimePoint now);
  void apply(session::Session& session, Errand& errand, TimePoint now);
  void answer(session::Session& session, Call& call, std::vector<std::uint8_t> result,
              const session::WarmAt& warm, TimePoint now);
  void note_commit(session::Session& session, std::uint64_t call_id, std::uint64_t request_id,
                   TimePoint now);
  static void remember(session::Session& session, session::StoredAnswer answer);
  void note_usage(const Attempt& attempt, const Outcome& outcome);
  [[nodiscard]] bool send_state(Attempt& attempt, TimePoint now);
  void settle(Attempt& attempt, Outcome& outcome, TimePoint now);
  void wait_again(Attempt& attempt, TimePoint now);
  void give_up(Call& call, Error error, TimePoint now);
  void end(Call& call, Result<Answer> result, TimePoint now);
  void count(const Call& call, const Result<Answer>& result, TimePoint now);
  void call_timer_fired(Call& call, TimePoint now);
  void grace_fired(Attempt& attempt, TimePoint now);
  void kill(WorkerSlot& worker, std::string_view why, TimePoint now);
  void count_loss(const WorkerSlot& worker);
  void arm(Timer& timer, TimePoint due) noexcept;
  void learn_service_time(std::int64_t service_ns) noexcept;
  void learn_miss_cost(std::int64_t hydration_ns) noexcept;
  [[nodiscard]] std::chrono::nanoseconds slot_wait() const noexcept;
  [[nodiscard]] std::chrono::milliseconds expected_wait() const noexcept;

  const Limits limits_;
  Ports ports_;
  Journal journal_;
  std::span<const std::string> names_;
  std::minstd_rand random_;
  std::vector<std::unique_ptr<WorkerSlot>>
      workers_;                   // outlive the wheel, which disarms their timers
  session::TimerWheel wheel_;     // of calls, attempts and workers
  session::TimerWheel expiries_;  // of sessions
  Seating seating_;
  WaitingList waiting_;
  Shedder shedder_;
  resilience::Breakers breakers_;
  resilience::RetryBudget retry_budget_;
  TimePoint counted_death_{};  // the last death of a worker that was a failure of the pool
  session::Residents residents_;
  std::deque<std::unique_ptr<Errand>> starved_;  // for want of memory
  std::uint32_t parking_ = 0;                    // errands of that kind under way
  std::uint64_t rooms_made_ = 0;                 // how often memory of a session became free
  std::size_t looked_in_vain_ = 0;               // at how many residents, since one was evicted
  std::uint64_t calls_ = 0;
  std::uint64_t requests_ = 0;
  std::uint32_t waiting_calls_ = 0;  // admitted, not in flight
  std::uint32_t in_flight_ = 0;
  LanguageModels models_;
  std::uint32_t pool_model_ = 0;          // of `models_`; 0: none is set
  std::vector<std::uint64_t> forgotten_;  // what a worker is told to forget
  std::uint32_t ready_ = 0;               // workers
  std::uint32_t kept_ = 0;                // of these, kept for a session that is to be alone
  std::unique_ptr<Error> no_starts_;      // null: workers are replaced as they die
  std::uint32_t pool_size_;
  std::int64_t service_ns_ = -1;    // EWMA; below 0: nothing learned
  std::int64_t hydration_ns_ = -1;  // likewise, of what a session that is not warm costs
  std::uint32_t capacity_;          // of each worker, follows service_ns_
  TimePoint earliest_armed_ = TimePoint::max();
  bool stopping_ = false;
  bool watches_waiting_ = false;
  std::string last_words_;
};

}  // namespace dspool::dispatch
