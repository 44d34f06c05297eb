// Runs errands on the durable store, on two threads of its own: one writes, many errands in one
// synced write; one reads. What came of them is told to the gate. What becomes of a write that
// failed is in errand_writer.h.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/dispatch/archive.h"
#include "engine/dispatch/errand_runner.h"
#include "engine/dispatch/errand_writer.h"
#include "engine/telemetry/log.h"
#include "engine/telemetry/metrics.h"

namespace dspool::dispatch {

class Archivist final : public Archive {
 public:
  // `group_delay`: so long at most the first errand of a group waits for others.
  Archivist(ErrandRunner& runner, std::chrono::milliseconds group_delay, telemetry::Log& log,
            telemetry::Metrics& metrics);
  ~Archivist() override;

  // What the reading thread does while it has no errand. When to do it next, from then on; nothing:
  // never again.
  using Idle = std::function<std::optional<std::chrono::milliseconds>()>;

  // Begins; what was started before waits for this. `tell` is called by either thread.
  void run(Tell tell, Idle idle);
  // Carries out what was started, and ends the threads. Nothing is started after this.
  void finish();

  void start(std::unique_ptr<Errand> errand) override;

 private:
  void write_on();
  void read_on();
  Errands take_group();
  void recover();

  ErrandRunner& runner_;
  ErrandWriter writer_;  // of the writing thread
  const std::chrono::milliseconds group_delay_;
  Tell tell_;
  Idle idle_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable to_write_due_;
  std::condition_variable to_read_due_;
  Errands to_write_;
  std::deque<std::unique_ptr<Errand>> to_read_;
  bool finishing_ = false;

  std::thread writing_;
  std::thread reading_;
};

}  // namespace dspool::dispatch
