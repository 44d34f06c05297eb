// One way in which a program of a few threads can run. Every step (an operation on an atomic, a
// futex, a bell) may be taken by any thread that is not blocked, and a load may read any store that
// the Memory lets it read: which ones are taken and read is the Path, and explore() walks them all.
//
// The code under test does not know: it runs on fibers, over model::Atomic instead of std::atomic.
//
// A state is what every thread has done and seen, in its own order: the rest of memory and the
// threads' private variables follow from that. So two paths that differ only in the order of steps
// which do not concern each other lead to one state, and what follows it is explored once. States
// are told apart by 64 bits of hash.
//
// Threads: one. What lies on a modelled thread's stack must not need to be destroyed: an execution
// that fails, hangs or has been seen before is abandoned where it is.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "tests/model/fiber.h"
#include "tests/model/memory.h"

namespace dspool::model {

// What was decided where there was something to decide.
struct Choice {
  std::size_t taken;
  std::size_t count;
};
using Path = std::vector<Choice>;

// What outlives an execution.
struct Explored {
  std::unordered_set<std::uint64_t> states;
  std::array<Fiber, kMaxThreads> fibers;  // [0] is not used
};

class Execution {
 public:
  static constexpr std::size_t kCells = 128;

  // Begins with `path` and extends it by first choices.
  Execution(Path& path, Explored& explored);
  ~Execution();
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  // The one that is being set up or run: an atomic's constructor takes nothing but its value.
  static Execution& current();

  // ---- setting up ----
  // Until run(), steps are taken at once, one after the other.
  void add_thread(std::string name, std::function<void()> body);
  // What must hold when all threads have ended.
  void at_end(std::function<void()> check) { at_end_ = std::move(check); }

  void run();
  // What went wrong and how it came to that, or "".
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

  // ---- for threads ----
  // Fails, and does not return, unless `holds`.
  void require(bool holds, const std::string& what);
  // Plain accesses to the cells [begin, end): not steps, but no data races either.
  void write_cells(std::size_t begin, std::size_t end);
  void read_cells(std::size_t begin, std::size_t end);

  // ---- for atomics ----
  Location add_location(std::uint64_t initial);
  void set_name(Location location, std::string name) { names_.at(location) = std::move(name); }
  std::uint64_t load(Location location, std::memory_order order);
  void store(Location location, std::uint64_t value, std::memory_order order);
  std::uint64_t modify(Location location, const char* what,
                       const std::function<std::uint64_t(std::uint64_t)>& change,
                       std::memory_order order);
  // Blocks while the newest value is `value`, then reads the newest.
  std::uint64_t await_change(Location location, std::uint64_t value, std::memory_order order);
  // FUTEX_WAIT without a limit (nullopt: whatever the value is), and FUTEX_WAKE of one thread.
  void sleep(Location location, std::optional<std::uint64_t> expected);
  void wake_one(Location location);

 private:
  struct Modelled {
    std::string name;
    std::uint64_t history = 0;  // a hash of all that it has done and seen
    // Blocked on this location: until woken, or until its newest value is no longer `value`.
    std::optional<Location> asleep_on = {};
    std::optional<Location> awaits = {};
    std::uint64_t value = 0;
  };
  struct Step {
    Thread thread;
    const char* what;
    Location location;
    std::uint64_t value;
    Stamp stamp;
    Stamp newest;
  };

  std::size_t choose(std::size_t count);
  void begin_step();
  void end_step(const char* what, Location location, std::uint64_t value, Stamp stamp);
  [[nodiscard]] bool can_step(Thread thread) const;
  [[nodiscard]] bool is_new_state();
  void fail(const std::string& what);
  [[nodiscard]] std::string who_is_blocked() const;
  [[nodiscard]] std::string describe(const Step& step) const;

  Execution* const outer_;
  Path& path_;
  Explored& explored_;
  std::size_t chosen_ = 0;  // how much of the path has been walked
  Memory memory_{kCells};
  std::vector<std::string> names_;
  std::vector<Modelled> threads_;
  Thread running_ = 0;
  std::vector<Step> steps_;
  std::function<void()> at_end_;
  std::string failure_;
};

}  // namespace dspool::model
