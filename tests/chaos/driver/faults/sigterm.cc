#include <unistd.h>

#include <csignal>

#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

constexpr int kPartingCalls = 100;
constexpr int kPartingSessions = 40;

// The driver is asked to stop by SIGTERM, and stops its engine with calls in flight. As each of
// them ends, another one is asked of the engine, which is stopping.
class Sigterm final : public Fault {
 public:
  void strike(Scene& scene) override { ask_to_stop(scene); }

  // When it is over, which the signal has seen to: the last ones that the engine is asked.
  void relent(Scene& scene) override {
    ask_to_stop(scene);
    for (int i = 0; i < kPartingCalls; ++i) {
      const Operation parting{.session = "parting-" + std::to_string(scene.below(kPartingSessions)),
                              .command = "slow_add",
                              .token = scene.caller.new_token(),
                              .by = 1,
                              .more = "\"ms\":" + std::to_string(1 + scene.below(40))};
      Operation another = parting;
      another.token = scene.caller.new_token();
      scene.caller.submit(parting, [&caller = scene.caller, another = std::move(another)] {
        caller.submit(another);
      });
    }
  }
  [[nodiscard]] std::chrono::milliseconds interval() const override {
    return std::chrono::milliseconds(400);
  }

 private:
  void ask_to_stop(const Scene& scene) {
    if (asked_) return;
    asked_ = true;
    scene.tell("sigterm", "asked to stop");
    ::kill(::getpid(), SIGTERM);
  }

  bool asked_ = false;
};

}  // namespace

std::unique_ptr<Fault> make_sigterm() { return std::make_unique<Sigterm>(); }

}  // namespace dspool::chaos
