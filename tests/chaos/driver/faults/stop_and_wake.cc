#include <csignal>

#include "tests/chaos/driver/faults/all.h"
#include "tests/chaos/driver/victim.h"

namespace dspool::chaos {
namespace {

using std::chrono::milliseconds;

// A worker sleeps for longer than its call may take, and then answers: too late, and fenced. At
// times for longer than the engine bears, which kills it.
class StopAndWake final : public Fault {
 public:
  void configure(Config& config) override { config.worker.cancel_grace = milliseconds(1'000); }

  void strike(Scene& scene) override {
    // So that there is a call that runs and has a short deadline.
    const Operation brief{.session = scene.sessions[scene.below(scene.sessions.size())],
                          .command = "slow_add",
                          .token = scene.caller.new_token(),
                          .by = 1,
                          .more = "\"ms\":30",
                          .options = {.timeout = milliseconds(60)}};
    scene.caller.submit(brief);
    const auto victim = Victim::pick(scene.engine, Victim::Doing::kSomething, scene.random());
    if (!victim || !victim->send(SIGSTOP)) return;
    const milliseconds nap(scene.below(5) == 0 ? 500 + scene.below(1'000) : 50 + scene.below(200));
    scene.tell("stop_and_wake", victim->name() + " for " + std::to_string(nap.count()) + " ms");
    scene.pause(nap);
    victim->send(SIGCONT);
  }
  [[nodiscard]] milliseconds interval() const override { return milliseconds(50); }
};

}  // namespace

std::unique_ptr<Fault> make_stop_and_wake() { return std::make_unique<StopAndWake>(); }

}  // namespace dspool::chaos
