// The archive under simulated time: errands are carried out by the engine's own code, which also
// decides what is retried, on a store that breaks now and then; simulated are the threads, and how
// long all that takes.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <random>

#include "engine/dispatch/archive.h"
#include "engine/dispatch/errand_runner.h"
#include "engine/dispatch/errand_writer.h"
#include "engine/telemetry/log.h"
#include "engine/telemetry/metrics.h"
#include "ipc/state_segment.h"
#include "tests/support/fragile_store.h"

namespace dspool::sim {

class SimulatedArchive final : public dispatch::Archive {
 public:
  using After = std::function<void(std::chrono::nanoseconds delay, std::function<void()> act)>;
  using Tell = std::function<void(dispatch::Errand&)>;

  SimulatedArchive(test::FragileStore& store, ipc::StateSegment& segment,
                   telemetry::Metrics& metrics, std::minstd_rand& random, After after, Tell tell);

  void start(std::unique_ptr<dispatch::Errand> errand) override;
  [[nodiscard]] bool is_idle() const noexcept { return under_way_ == 0; }

 private:
  void write_group();
  void recover();
  void break_store();
  void tell(dispatch::Errand& errand);

  test::FragileStore& store_;
  std::minstd_rand& random_;
  After after_;
  Tell tell_;
  telemetry::Log log_{LogLevel::kOff};
  dispatch::ErrandRunner runner_;
  dispatch::ErrandWriter writer_;
  dispatch::Errands to_write_;
  std::size_t under_way_ = 0;
};

}  // namespace dspool::sim
