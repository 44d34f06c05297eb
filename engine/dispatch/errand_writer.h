// Writes errands to the durable store, and knows what becomes of them when it fails: what is
// retried, in which order, and when the end of each is told. Has neither threads nor a clock:
// whoever drives it (archivist.h, and the simulation) says when the next try is.
//
// A write that failed: what was in it is `kUnknown`, and stays so until the store has told what it
// holds. What comes meanwhile is refused, except for the ends of sessions, which are written as
// soon as the store can be. A session that was being parked stays where it is.
//
// Threads: one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/dispatch/archive.h"
#include "engine/dispatch/errand_runner.h"
#include "engine/telemetry/log.h"
#include "engine/telemetry/metrics.h"

namespace dspool::dispatch {

using Errands = std::vector<std::unique_ptr<Errand>>;
// Told of errands that have ended, or are unknown (then the pointer is not to be kept).
using Tell = std::function<void(std::span<Errand* const>)>;

class ErrandWriter {
 public:
  ErrandWriter(ErrandRunner& runner, telemetry::Log& log, telemetry::Metrics& metrics, Tell tell);

  // As one, or, while the store is broken, not.
  void write(Errands group);

  // Whether a write has failed and `recover` is due.
  [[nodiscard]] bool is_broken() const noexcept { return broken_; }
  // How long to wait before the next try, longer each time.
  [[nodiscard]] std::chrono::milliseconds next_delay() noexcept;
  // Tries to bring the store back, to settle what is unknown, and to write what could not be.
  void recover();
  // There will be no further try: what the store knows of the rest, its next owner will see.
  void abandon();

 private:
  void hold_ends(Errands& errands);
  void end(Errands& errands, Errand::End how);

  ErrandRunner& runner_;
  telemetry::Log& log_;
  telemetry::Metrics& metrics_;
  const Tell tell_;
  bool broken_ = false;
  std::chrono::milliseconds delay_{0};
  Errands unknown_;
  Errands ends_;  // of sessions
};

}  // namespace dspool::dispatch
