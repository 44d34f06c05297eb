#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

using std::chrono::milliseconds;

// No other thread of the worker runs meanwhile, so it hears of no cancel. Short ones end in time,
// others after their deadline, long ones when the worker is killed.
class HoldGil final : public Fault {
 public:
  void configure(Config& config) override { config.worker.cancel_grace = milliseconds(600); }

  void strike(Scene& scene) override {
    const auto ms = 20 + scene.below(scene.below(3) == 0 ? 1'500 : 300);
    const Operation busy{.session = scene.sessions[scene.below(scene.sessions.size())],
                         .command = "hold_gil",
                         .token = scene.caller.new_token(),
                         .by = 0,
                         .more = "\"ms\":" + std::to_string(ms),
                         .options = {.timeout = milliseconds(200)}};
    scene.caller.submit(busy);
    scene.tell("hold_gil", std::to_string(ms) + " ms");
  }
};

}  // namespace

std::unique_ptr<Fault> make_hold_gil() { return std::make_unique<HoldGil>(); }

}  // namespace dspool::chaos
