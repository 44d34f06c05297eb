// Which workers there are to be: a state machine that decides who is started, emptied and ended. It
// owns no process and reads no clock: events and time are passed in, orders come out, and whoever
// steps it (Steward) carries them out.
//
//   kEmpty -> kStarting -> kServing -> kEmptying -> kLeaving -> kEmpty
//               ^              |lost
//               +--------------+          kStarting -> kLeaving when it is not wanted any more, and
//                                         kLeaving -> kEmptying if it had become ready by then
//
// A worker that dies is started again in its place by the supervisor, with its pauses; the fleet
// only hears of it.
//
// How many are to be ready: `target`, the overflow that waiting callers have called for, and
// `spares`. One worker more is started for each that is to be replaced, so that the replacement is
// ready before the old one leaves; at most a tenth of the pool is replaced at a time, at least one.
//
// Invariants
//   I1  those that start or serve are at most most_live(), unless the target was lowered: then they
//       only become fewer until it is so.
//   I2  a place is started only when it is empty, emptied only when it serves, and ended once.
//   I3  no serving worker is emptied while fewer are ready than are to be, but by `drain`.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "dspool/migration.h"
#include "engine/session/time_point.h"

namespace dspool::dispatch {

using session::TimePoint;

enum class PlaceState : std::uint8_t {
  kEmpty,
  kStarting,
  kServing,   // ready; takes work unless it rests
  kEmptying,  // takes no new work, finishes what it runs
  kLeaving,   // told to end
};

struct FleetTerms {
  std::uint32_t places = 1;    // most that there can be at once
  std::uint32_t overflow = 0;  // most workers above the target
  std::uint32_t spares = 0;    // ready workers beyond need, which rest until they are needed
  // How long callers wait before a worker is started for them, and how long it stays after it was
  // last needed.
  std::chrono::milliseconds patience{10};
  std::chrono::milliseconds stay{60'000};
  // When a worker is replaced; 0: never for that.
  std::uint64_t max_requests = 0;
  std::chrono::milliseconds max_age{0};
  std::uint64_t max_memory_bytes = 0;
};

struct FleetLoad {
  std::uint32_t waiting = 0;  // sessions that wait for a worker
  std::uint32_t busy = 0;     // workers that what is in flight would keep busy
};

struct FleetOrder {
  enum class Kind : std::uint8_t {
    kStart,  // a worker in this place
    kRest,   // no work for this one until it is needed
    kServe,  // it is needed
    kEmpty,  // no new work for it; `Fleet::emptied` is awaited
    kEnd,    // its process; `Fleet::vacated` is awaited
  };
  Kind kind{};
  std::uint32_t place = 0;
  MigrationReason reason{};  // of kEmpty
  bool operator==(const FleetOrder&) const = default;
};

class Fleet {
 public:
  static constexpr std::uint32_t kMostStartingForOverflow = 2;

  // The first `target` places are starting.
  Fleet(const FleetTerms& terms, std::uint32_t target);

  // ---- events; those of a place that cannot have them are ignored ----
  void ready(std::uint32_t index, TimePoint now);
  // Its process has died without being asked to, and is started again.
  void lost(std::uint32_t index);
  // Nothing runs on it any more. REQUIRES: an order kEmpty.
  void emptied(std::uint32_t index);
  // It turned out to have work, after an order kEnd of a start: it is emptied first.
  void found_busy(std::uint32_t index);
  // Its process is gone, after an order kEnd.
  void vacated(std::uint32_t index);
  // What a ready worker has come to.
  void used(std::uint32_t index, std::uint64_t requests, std::uint64_t memory_bytes);

  // ---- wishes ----
  // REQUIRES: 1 <= target and it leaves room in `places`.
  void resize(std::uint32_t target) {
    is_to_shrink_ = is_to_shrink_ || target < target_;
    target_ = target;
  }
  // The pool becomes smaller by this worker, once. REQUIRES: can_drain.
  void drain(std::uint32_t index);
  [[nodiscard]] bool can_drain(std::uint32_t place) const;
  // It leaves when another one is ready in its stead. REQUIRES: it serves.
  void evacuate(std::uint32_t index);

  // What is to be done now, in this order.
  [[nodiscard]] std::vector<FleetOrder> step(const FleetLoad& load, TimePoint now);
  // When the next step is due, if nothing happens before.
  [[nodiscard]] std::optional<TimePoint> next_step() const;

  // ---- what it is like now ----
  [[nodiscard]] PlaceState state(std::uint32_t place) const;
  // Grows with each process that is wanted in the place.
  [[nodiscard]] std::uint64_t generation(std::uint32_t place) const;
  [[nodiscard]] std::uint32_t places() const noexcept {  // all beyond are empty
    return static_cast<std::uint32_t>(places_.size());
  }
  [[nodiscard]] std::uint32_t target() const noexcept { return target_; }
  [[nodiscard]] std::uint32_t overflow() const noexcept { return level_; }
  [[nodiscard]] std::uint32_t count(PlaceState state) const;
  [[nodiscard]] std::uint32_t resting() const;
  [[nodiscard]] std::uint32_t most_live() const noexcept;
  // Whether callers that wait could make it start or wake somebody.
  [[nodiscard]] bool heeds_waiting() const;
  // Whether the target is reached: so many are ready, and nobody has still to leave for it.
  [[nodiscard]] bool reached_target() const;
  // Replaced since the start, for what `terms` says.
  [[nodiscard]] std::uint64_t recycled() const noexcept { return recycled_; }

 private:
  struct Place {
    PlaceState state = PlaceState::kEmpty;
    std::uint64_t generation = 0;
    bool rests = false;
    bool worn = false;         // is to be replaced
    bool is_empty = false;     // kEmptying: nothing runs there any more
    bool shrinks = false;      // kEmptying: also that there are less, whatever the reason
    MigrationReason reason{};  // why it is worn, or emptying
    TimePoint ready_at{};
  };

  [[nodiscard]] Place* find(std::uint32_t place);
  [[nodiscard]] bool is_drained(std::uint32_t place) const;  // and has not begun to leave
  void wear(Place& place, MigrationReason reason);
  void heed(const FleetLoad& load, TimePoint now);
  void note_age(TimePoint now);
  void start_and_cancel(std::vector<FleetOrder>& orders);
  void empty_some(std::vector<FleetOrder>& orders);
  void let_rest(std::vector<FleetOrder>& orders);
  void end_some(std::vector<FleetOrder>& orders);
  [[nodiscard]] std::optional<std::uint32_t> empty_place();
  [[nodiscard]] std::uint32_t base() const noexcept { return target_ + level_; }
  [[nodiscard]] std::uint32_t most_replaced() const noexcept;
  [[nodiscard]] std::uint32_t replacing() const;

  const FleetTerms terms_;
  std::vector<Place> places_;
  std::uint32_t target_;
  bool is_to_shrink_ = false;           // until the next step
  std::uint32_t level_ = 0;             // overflow that is called for
  std::vector<TimePoint> last_needed_;  // of each level, from the first
  std::optional<TimePoint> waiting_since_;
  std::uint64_t recycled_ = 0;
};

}  // namespace dspool::dispatch
