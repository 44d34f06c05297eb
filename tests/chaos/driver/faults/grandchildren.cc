#include <csignal>

#include "tests/chaos/driver/faults/all.h"
#include "tests/chaos/driver/victim.h"

namespace dspool::chaos {
namespace {

// Commands leave processes behind that would live for an hour; then their workers are killed. Some
// are left when the pool stops.
class Grandchildren final : public Fault {
 public:
  void strike(Scene& scene) override {
    const Operation spawning{.session = scene.sessions[scene.below(scene.sessions.size())],
                             .command = "spawn_children",
                             .token = scene.caller.new_token(),
                             .by = 0,
                             .more = "\"count\":" + std::to_string(1 + scene.below(4))};
    const auto answer = scene.caller.call(spawning);
    scene.tell("grandchildren", answer ? "begun" : answer.error().describe());
    if (scene.below(3) != 0) return;
    const auto victim = Victim::pick(scene.engine, Victim::Doing::kNothing, scene.random());
    if (victim && victim->send(SIGKILL)) scene.tell("grandchildren", "killed " + victim->name());
  }
};

}  // namespace

std::unique_ptr<Fault> make_grandchildren() { return std::make_unique<Grandchildren>(); }

}  // namespace dspool::chaos
