// The memory of C++ as an abstract machine: which stores a load may read.
//
// Each atomic location keeps all its stores in the order in which they were done. A thread has a
// view: for each location the oldest store that it may still read, and for each thread how much of
// what that thread did happened before. A relaxed load may read any store that is not older than
// the view says; a release store carries its thread's view along, and an acquire load that reads it
// joins that view to its own. A read-modify-write reads the newest store, and passes on the view
// that this carried (a release sequence). A seq_cst operation reads nothing older than what any
// seq_cst operation on the location has read or stored before it.
//
// Plain bytes are guarded, not stored: an access that is not ordered by happens-before with the
// last ones is a data race.
//
// What this does not show: loads that read from stores which come later in their own thread's
// order (load buffering); a store that slips in before an older one of another thread (every word
// of a ring has one writer, or is only exchanged); and seq_cst orders which contradict
// happens-before, which C++20 allows for the sake of POWER and no x86 or ARMv8 does.
//
// Threads: one, which speaks for all that are modelled.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace dspool::model {

using Thread = std::size_t;    // 0: whoever sets the stage before the others begin
using Location = std::size_t;  // an atomic object
using Stamp = std::uint16_t;   // which of a location's stores, 0: its initial value

inline constexpr std::size_t kMaxThreads = 5;
inline constexpr std::size_t kMaxLocations = 12;

class Memory {
 public:
  explicit Memory(std::size_t guarded_cells) : cells_(guarded_cells) {}

  Location add_location(std::uint64_t initial);
  // What `thread` did until now happens before what `child` does.
  void begin(Thread thread, Thread child);

  [[nodiscard]] Stamp newest(Location location) const;
  [[nodiscard]] std::uint64_t value(Location location, Stamp stamp) const;

  // The oldest store that such a load may read: it may read any from there to the newest.
  [[nodiscard]] Stamp oldest_readable(Thread thread, Location location,
                                      std::memory_order order) const;
  std::uint64_t load(Thread thread, Location location, Stamp stamp, std::memory_order order);
  void store(Thread thread, Location location, std::uint64_t value, std::memory_order order);
  // Returns the value that was replaced.
  std::uint64_t modify(Thread thread, Location location,
                       const std::function<std::uint64_t(std::uint64_t)>& change,
                       std::memory_order order);
  // What the kernel's barrier does before FUTEX_WAKE looks for sleepers: what the thread has seen
  // of this location is seen by every later FUTEX_WAIT.
  void make_visible(Thread thread, Location location);

  // false: a data race.
  [[nodiscard]] bool write_cell(Thread thread, std::size_t cell);
  [[nodiscard]] bool read_cell(Thread thread, std::size_t cell);

 private:
  struct View {
    std::array<Stamp, kMaxLocations> seen{};
    std::array<Stamp, kMaxThreads> clock{};

    void join(const View& other);
  };
  struct Store {
    std::uint64_t value;
    View released;  // what a load that acquires comes to know
  };
  struct Cell {
    Thread writer = 0;
    Stamp written = 0;
    std::array<Stamp, kMaxThreads> read{};
  };

  void append(Thread thread, Location location, std::uint64_t value, std::memory_order order,
              const View& inherited);

  std::vector<std::vector<Store>> stores_;
  std::array<View, kMaxThreads> views_{};
  std::array<Stamp, kMaxLocations> seq_cst_seen_{};
  std::vector<Cell> cells_;
};

}  // namespace dspool::model
