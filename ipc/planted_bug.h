// Bugs that tests plant, by name, to show that they would be noticed (tests/chaos). A bug point is
// nothing, unless the code is compiled with DSPOOL_PLANTED_BUGS: then the process has the one bug
// that its environment names (tests/chaos/planted_bug.cc), or none.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace dspool::ipc {

inline constexpr std::array<std::string_view, 18> kPlantedBugs{
    // attempts
    "skip_fence",         // a late answer is taken for that of the session's next call
    "apply_late_answer",  // what an attempt changed becomes state although its call has ended
    "trust_stale_hint",   // a worker is believed to have what it had once
    "leak_slot",          // a slot stays taken after the answer
    "reuse_epoch",        // a worker gets the epoch of the one that died in its place
    // commits
    "answer_before_commit", "lose_append", "version_gap", "commit_key_twice",
    "lose_state_with_worker",
    // calls
    "forget_waiter", "wrong_caller", "deliver_twice", "end_late",
    // sessions, memory, processes
    "expire_in_use", "leak_state_memory", "leave_process", "count_wrong"};

// What nobody can do from outside, and an engine has to bear: no bug, but planted as they are.
inline constexpr std::array<std::string_view, 1> kPlantedMishaps{
    "drop_doorbell",  // every twentieth ring, to a worker or to a caller, is lost
};

class PlantedBug {
 public:
  // A name that is not in the tables does not compile.
  consteval PlantedBug(const char* name)  // NOLINT(google-explicit-constructor): it reads as a name
      : name_(find(name)) {}

  [[nodiscard]] static constexpr bool is_known(std::string_view name) noexcept {
    return std::ranges::find(kPlantedBugs, name) != kPlantedBugs.end() ||
           std::ranges::find(kPlantedMishaps, name) != kPlantedMishaps.end();
  }

  [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }

 private:
  static consteval std::string_view find(std::string_view name) {
    const auto* const bug = std::ranges::find(kPlantedBugs, name);
    return bug != kPlantedBugs.end() ? *bug : *std::ranges::find(kPlantedMishaps, name);
  }

  std::string_view name_;
};

#ifdef DSPOOL_PLANTED_BUGS
// Whether this process has the bug.
[[nodiscard]] bool has_bug(PlantedBug bug) noexcept;
// The same for every `n`-th time that it is asked, beginning with the n-th.
[[nodiscard]] bool has_bug_at_times(PlantedBug bug, unsigned n) noexcept;
// And for the n-th time alone.
[[nodiscard]] bool has_bug_once(PlantedBug bug, unsigned n) noexcept;
#else
[[nodiscard]] constexpr bool has_bug(PlantedBug /*bug*/) noexcept { return false; }
[[nodiscard]] constexpr bool has_bug_at_times(PlantedBug /*bug*/, unsigned /*n*/) noexcept {
  return false;
}
[[nodiscard]] constexpr bool has_bug_once(PlantedBug /*bug*/, unsigned /*n*/) noexcept {
  return false;
}
#endif

// What a bug has to remember.
template <typename T>
[[nodiscard]] T& remembered() {
  static T value{};
  return value;
}

}  // namespace dspool::ipc
