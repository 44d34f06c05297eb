#include "tests/sim/simulated_archive.h"

#include <span>
#include <utility>

namespace dspool::sim {
namespace {

using dispatch::Errand;
using std::chrono::microseconds;

constexpr double kFails = 0.01;
constexpr double kFailsAgain = 0.3;

}  // namespace

SimulatedArchive::SimulatedArchive(test::FragileStore& store, ipc::StateSegment& segment,
                                   telemetry::Metrics& metrics, std::minstd_rand& random,
                                   After after, Tell tell)
    : store_(store),
      random_(random),
      after_(std::move(after)),
      tell_(std::move(tell)),
      runner_(store, store.own().value(), segment, log_),
      writer_(runner_, log_, metrics, [this](std::span<Errand* const> told) {
        for (Errand* const errand : told) this->tell(*errand);
      }) {}

void SimulatedArchive::start(std::unique_ptr<Errand> errand) {
  ++under_way_;
  const bool stalls = random_() % 200 == 0;  // longer than many deadlines
  const microseconds delay(stalls ? 100'000 : 50 + random_() % 2'000);
  if (errand->kind == Errand::Kind::kLoad) {
    after_(delay, [this, loading = std::shared_ptr<Errand>(std::move(errand))] {
      runner_.load(*loading);
      tell(*loading);
    });
    return;
  }
  to_write_.push_back(std::move(errand));
  after_(delay, [this] { write_group(); });
}

void SimulatedArchive::write_group() {
  if (to_write_.empty()) return;
  const bool was_broken = writer_.is_broken();
  if (!was_broken && std::uniform_real_distribution<double>()(random_) < kFails) break_store();
  writer_.write(std::exchange(to_write_, {}));
  if (!was_broken && writer_.is_broken()) after_(writer_.next_delay(), [this] { recover(); });
}

// What is written anew may fail again.
void SimulatedArchive::recover() {
  if (std::uniform_real_distribution<double>()(random_) < kFailsAgain) break_store();
  writer_.recover();
  if (writer_.is_broken()) after_(writer_.next_delay(), [this] { recover(); });
}

void SimulatedArchive::break_store() {
  store_.fail_next(random_() % 2 == 0, static_cast<std::uint32_t>(random_() % 3));
}

void SimulatedArchive::tell(Errand& errand) {
  if (errand.end != Errand::End::kUnknown) --under_way_;
  tell_(errand);
}

}  // namespace dspool::sim
