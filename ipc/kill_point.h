// The steps at which tests kill a process, by name. A kill point is nothing, unless the code is
// compiled with DSPOOL_KILL_POINTS: then the process kills itself at the one that its environment
// names (tests/ipc/kill_point.cc).
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace dspool::ipc {

inline constexpr std::array<std::string_view, 31> kKillPoints{
    // a worker attaches
    "attach.mapped_a", "attach.mapped_b", "attach.header_written",
    // a producer; the body is written between reserving and committing
    "push.padded", "push.reserved", "push.body_written", "push.header_written", "push.committed",
    "push.published",
    // a consumer; the body is copied between peeking and releasing
    "pop.peeked", "pop.copied", "pop.released",
    // a worker maps a payload, or has put a body beside the response ring that names it next
    "slab.mapped", "bulk.published", "memfd.handed_over",
    // a worker sleeps on the doorbell
    "sleep.begun", "sleep.announced", "sleep.waiting", "sleep.ended",
    // the engine rings the doorbell
    "doorbell.due", "doorbell.bumped", "doorbell.rung",
    // the engine says whom to ring, and the worker rings
    "bell.announced", "bell.rung",
    // a worker claims a request, and the engine recalls what is not claimed
    "claim.published", "recall.published",
    // the engine commits to the durable store (engine/dispatch)
    "commit.started", "commit.encoded", "commit.written", "commit.applied", "commit.removed"};

class KillPoint {
 public:
  // A name that is not in the table does not compile.
  consteval KillPoint(const char* name)  // NOLINT(google-explicit-constructor): it reads as a name
      : name_(*std::ranges::find(kKillPoints, std::string_view(name))) {}

  [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }

 private:
  std::string_view name_;
};

#ifdef DSPOOL_KILL_POINTS
void kill_point(KillPoint here) noexcept;
#else
constexpr void kill_point(KillPoint /*here*/) noexcept {}
#endif

}  // namespace dspool::ipc
