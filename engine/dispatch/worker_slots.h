// The workers as the dispatcher sees them: a place for each, the epoch that lives in it, and the
// attempts in flight on it. Storage is allocated once; nothing here allocates per attempt.
//
// Invariants
//   I1  a worker's in_flight counts its attempts with a request_id that is not 0.
//   I2  a request_id is never used twice; its low bits are the attempt's index at its worker.
//   I3  an attempt that was recalled has no session and no call: it is over, and keeps its place
//   and
//       its pins until the worker has skipped it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/dispatch/call.h"
#include "engine/session/session.h"
#include "engine/session/timer_wheel.h"

namespace dspool::dispatch {

// A request's id ends with its place: the attempt's index at its worker.
inline constexpr unsigned kPlaceBits = 10;
constexpr std::uint32_t place_of(std::uint64_t request_id) noexcept {
  return static_cast<std::uint32_t>(request_id & ((std::uint64_t{1} << kPlaceBits) - 1));
}

// One try to execute a call. It holds its session and its slot until the worker answers or dies,
// also when its call has ended before.
struct Attempt {
  std::uint64_t request_id = 0;  // 0: free
  Call* call = nullptr;          // null: the call has ended
  session::SessionRef session;
  std::uint64_t call_id = 0;
  std::uint64_t epoch = 0;  // the worker's
  std::uint32_t worker = 0;
  std::uint32_t number = 0;  // counts from 1 within the call
  bool hydrated = false;     // it was sent the session's fields
  bool had_begun = false;    // when `grace` was armed last
  bool recalled = false;
  bool alone = false;       // nothing else was there while it was
  std::uint64_t model = 0;  // the id of its language model; 0: none
  bool moves = false;       // it brings the session to the worker, and executes nothing
  bool streams = false;     // it may send chunks
  std::uint64_t order = 0;  // the how manyeth request that its worker was sent, as sent last
  worker::Pins pins;
  Timer grace{kAttemptTimer, this};  // armed once the call has ended without it
};

enum class WorkerState : std::uint8_t {
  kAbsent,  // no process that has said it is ready
  kReady,
  kResting,   // as ready, but gets no work until it is needed
  kDraining,  // finishes what it has, and gets nothing more
  kDoomed,    // being killed: gets nothing more
};

class WorkerSlot {
 public:
  WorkerSlot(std::uint32_t index, std::uint32_t capacity);

  WorkerState state = WorkerState::kAbsent;
  std::uint64_t epoch = 0;
  bool full = false;                 // its ring had no room; until its next answer
  std::uint64_t served = 0;          // answers in this epoch
  std::chrono::nanoseconds busy{0};  // that its commands ran for, in this epoch
  TimePoint ready_since{};
  std::uint32_t warm_sessions = 0;  // that have their fields there
  bool is_retired = false;  // what ends here does so as asked, and what starts is not wanted
  // It takes nothing but this session, which is to be alone here, until that has had its attempt.
  const session::Session* kept_for = nullptr;
  bool is_excused = false;        // its last death is what it ran's fault
  TimePoint stuck_since{};        // when it was given up for an attempt that does not end; else 0
  std::uint64_t sent = 0;         // requests in this epoch
  std::uint64_t recalled_to = 0;  // of these, so many lay there or had begun at the last recall
  // The ids of language models that the worker holds in this epoch, by their numbers; and of those
  // that it holds in vain.
  std::vector<std::uint64_t> models;
  std::vector<std::uint64_t> stale_models;
  std::uint64_t begun_before = 0;        // when `ring_watch` was armed
  Timer ring_watch{kWorkerTimer, this};  // armed while requests may lie behind others

  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
  // Whether it can be told something, and answers.
  [[nodiscard]] bool is_up() const noexcept {
    return state != WorkerState::kAbsent && state != WorkerState::kDoomed;
  }
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_; }
  // Of these, attempts that were recalled.
  [[nodiscard]] std::uint32_t recalled() const noexcept { return recalled_; }
  // REQUIRES: in_flight() is below the capacity.
  Attempt& open(std::uint64_t sequence);
  // The attempt in flight with this id, or null: the id is nobody's.
  [[nodiscard]] Attempt* find(std::uint64_t request_id) noexcept;
  void close(Attempt& attempt) noexcept;
  // Makes an attempt a recalled one.
  void set_recalled(Attempt& attempt) noexcept;
  // Closes those, of a worker that is gone.
  void close_recalled() noexcept;
  // Whether it was told this model, which has this number.
  [[nodiscard]] bool holds_model(std::uint32_t number, std::uint64_t id) const noexcept {
    return number < models.size() && models[number] == id;
  }
  // The attempts in flight behind the first `begun` requests, the one that was sent last first.
  [[nodiscard]] std::vector<Attempt*> find_behind(std::uint64_t begun);
  // Whether one of the first `begun` requests is in flight.
  [[nodiscard]] bool runs_one_of(std::uint64_t begun) const noexcept;
  // Whether the worker was sent this attempt, in flight, before all others.
  [[nodiscard]] bool is_ahead_of_all(std::uint64_t request_id) const noexcept;

  // Whether the worker has begun the attempt, which takes its requests in the order in which they
  // were sent and runs `max_in_flight` at once.
  [[nodiscard]] bool has_begun(const Attempt& attempt, std::uint32_t max_in_flight) const noexcept;
  // Whether it runs an attempt that somebody waits for.
  [[nodiscard]] bool runs_for_a_call(std::uint32_t max_in_flight) const noexcept;

  // Of all attempts that are not over.
  template <typename F>
  void for_each_in_flight(F&& visit) const {
    for (const Attempt& attempt : attempts()) {
      if (attempt.request_id != 0 && !attempt.recalled) visit(attempt);
    }
  }
  template <typename F>
  void for_each_in_flight(F&& visit) {
    for (std::uint32_t i = 0; i < capacity_; ++i) {
      if (attempts_[i].request_id != 0 && !attempts_[i].recalled) visit(attempts_[i]);
    }
  }

 private:
  [[nodiscard]] std::span<const Attempt> attempts() const noexcept {
    return {attempts_.get(), capacity_};
  }

  std::uint32_t index_;
  std::uint32_t capacity_;
  std::uint32_t in_flight_ = 0;
  std::uint32_t recalled_ = 0;
  std::unique_ptr<Attempt[]> attempts_;
  std::vector<std::uint32_t> free_;
};

}  // namespace dspool::dispatch
