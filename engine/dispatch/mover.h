// Moves the warm sessions of workers to others, many at a time: those of a worker that is to leave,
// and of workers that have many more than others.
//
// It looks through the session table in pieces, off everybody's way: no list of a worker's sessions
// is kept, which each call would have to pay for. A few moves are under way at once, each to a
// worker that has nothing to do. A session that cannot be moved (nobody is free for it within
// kPatience, its target dies) is merely cold: its next call brings the fields along.
//
// Threads: one (the steward's), but for `has_ended` and `move`.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/migration.h"
#include "dspool/value.h"
#include "engine/dispatch/front.h"
#include "engine/dispatch/gate.h"
#include "engine/dispatch/observers.h"
#include "engine/dispatch/waker.h"
#include "engine/session/session.h"
#include "engine/telemetry/metrics.h"

namespace dspool::dispatch {

class Mover final : private MoveSink {
 public:
  static constexpr std::chrono::milliseconds kPatience{1'000};

  // `names` of workers, `wake` and all others outlive *this. Without `moves`, nothing is ever
  // moved: see the README.
  Mover(Gate& gate, session::SessionTable& sessions, std::span<const std::string> names,
        telemetry::Metrics& metrics, MigrationObservers& observers, Waker& wake, bool moves);
  // Waits for what is under way, which ends no later than the pool's other calls.
  ~Mover() override;

  // Moves all that is warm on a worker that was drained; what still runs there, once `has_stopped`.
  void empty(std::uint32_t worker, std::uint64_t epoch, MigrationReason reason);
  void has_stopped(std::uint32_t worker);
  // Moves from workers that have more warm sessions than the mean as many as they have more.
  void even_out();

  // Moves one session because somebody asked for it; on their thread. Errors: Front's.
  Result<void> move(Front& front, std::string_view session, std::uint32_t worker,
                    std::chrono::milliseconds patience);

  // Goes on. true: there is more to do at once, or something is done; else `wake` is woken when
  // there is.
  bool step();
  // When it should go on although nothing has woken it; TimePoint::max(): then never.
  [[nodiscard]] TimePoint next_step() const noexcept { return next_step_; }
  [[nodiscard]] bool is_emptying(std::uint32_t worker) const;
  [[nodiscard]] bool is_idle() const noexcept {
    return round_.empty() && next_round_.empty() && candidates_.empty() && under_way_ == 0;
  }

 private:
  static constexpr std::size_t kLooksPerStep = 512;  // at sessions, under the gate's lock
  static constexpr std::uint32_t kMostUnderWay = 16;
  static constexpr std::chrono::milliseconds kRetry{5};
  static constexpr std::chrono::seconds kTimeout{30};  // of one move

  // Where sessions are taken from in one look through the table.
  struct Source {
    session::WarmAt at;
    std::uint64_t quota = 0;  // how many are to go
    std::uint64_t below = 0;  // to workers that have fewer
    MigrationReason reason{};
    std::uint32_t under_way = 0;                    // moves, and candidates
    bool was_looked_for = false;                    // in the whole table
    std::vector<session::SessionRef> running = {};  // there, when it was drained
  };
  struct Candidate {
    session::SessionRef session;
    std::shared_ptr<Source> source;
  };
  struct OwnMove : MoveCall {
    using MoveCall::MoveCall;
    std::shared_ptr<Source> source;
  };

  void has_ended(MoveCall& call) override;
  bool take_ended();
  void take(OwnMove& move);
  bool look_on();
  void submit();
  void give_up();
  void tell(std::string_view session, std::optional<std::uint32_t> from, std::uint32_t to,
            MigrationReason reason);
  [[nodiscard]] bool send(const Candidate& candidate, Dispatcher& dispatcher, TimePoint now);

  Gate& gate_;
  session::SessionTable& sessions_;
  std::span<const std::string> names_;
  telemetry::Metrics& metrics_;
  MigrationObservers& observers_;
  Waker& wake_;
  const bool moves_;
  const Value no_args_;

  std::vector<std::shared_ptr<Source>> round_;  // of the look that is under way
  std::vector<std::shared_ptr<Source>> next_round_;
  std::vector<std::shared_ptr<Source>> emptied_;  // those of `empty` that are not done
  std::string looked_until_;                      // an id
  std::deque<Candidate> candidates_;
  std::uint32_t under_way_ = 0;
  TimePoint last_progress_{};
  TimePoint next_step_ = TimePoint::max();

  std::mutex mutex_;  // guards what follows
  std::condition_variable came_back_;
  std::vector<std::unique_ptr<OwnMove>> ended_;
};

}  // namespace dspool::dispatch
