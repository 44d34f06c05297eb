// The engine's own Fleet among simulated workers, stepped as the steward steps it: resizes, drains,
// evacuations, overflow and recycling, and sessions that are moved meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/fleet.h"

namespace dspool::sim {

using dispatch::TimePoint;
using std::chrono::nanoseconds;

// What it has done to the simulated processes.
class SimulatedProcesses {
 public:
  SimulatedProcesses() = default;
  SimulatedProcesses(const SimulatedProcesses&) = delete;
  SimulatedProcesses& operator=(const SimulatedProcesses&) = delete;
  virtual ~SimulatedProcesses() = default;

  virtual void after(nanoseconds delay, std::function<void()> act) = 0;
  [[nodiscard]] virtual TimePoint now() const = 0;
  // As Supervisor's; `SimulatedFleet::vacated` follows `retire`.
  virtual void start_in(std::uint32_t place) = 0;
  virtual void retire(std::uint32_t place, bool was_told) = 0;
};

class SimulatedFleet {
 public:
  static constexpr std::uint32_t kPlaces = 16;
  static constexpr std::uint32_t kMostWorkers = 7;

  // All outlive *this. Where it is not `restless`, nobody asks it for anything.
  SimulatedFleet(std::uint32_t workers, bool restless, dispatch::Dispatcher& dispatcher,
                 session::SessionTable& sessions, SimulatedProcesses& processes,
                 std::minstd_rand& random);

  // Something may have happened: it is stepped soon.
  void due();
  void vacated(std::uint32_t place);
  // A call of kind kMove has ended.
  void ended(dispatch::Call& move);
  // One of what people ask of a fleet, by chance.
  void ask_for_something();

  // Whether so many workers are ready as there are to be, and no session is under way.
  [[nodiscard]] bool is_at_rest() const;
  // Whether the worker of this place was to get no more work.
  [[nodiscard]] bool is_drained(std::uint32_t place) const;
  // Ids of the calls that moved sessions.
  [[nodiscard]] std::set<std::uint64_t> moves() const;
  [[nodiscard]] std::uint64_t moved() const noexcept { return moved_; }
  [[nodiscard]] std::uint64_t left() const noexcept { return left_; }

 private:
  struct OwnMove : dispatch::Call {
    std::uint32_t leaves = kPlaces;  // the place that its session is to leave
  };
  struct Place {
    std::uint64_t epoch = 0;    // that the fleet was told of
    std::uint64_t drained = 0;  // the last epoch that was
    std::uint32_t moves = 0;    // under way from here
  };

  void step();
  void tell_of(std::uint32_t index);
  void carry_out(const dispatch::FleetOrder& order);
  void empty(std::uint32_t place);
  void move(const session::SessionRef& session, std::uint32_t to, std::uint32_t leaves);
  [[nodiscard]] std::uint32_t some(std::size_t count);

  const bool restless_;
  dispatch::Dispatcher& dispatcher_;
  session::SessionTable& sessions_;
  SimulatedProcesses& processes_;
  std::minstd_rand& random_;
  dispatch::Fleet fleet_;
  std::vector<Place> places_;
  std::vector<std::unique_ptr<OwnMove>> moves_;  // all that there were
  std::uint32_t under_way_ = 0;
  const Value no_args_;
  bool step_due_ = false;
  TimePoint look_again_ = TimePoint::max();
  std::uint64_t moved_ = 0;
  std::uint64_t left_ = 0;  // workers
};

}  // namespace dspool::sim
