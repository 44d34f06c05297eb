#include <csignal>
#include <thread>

#include "tests/chaos/driver/faults/all.h"
#include "tests/chaos/driver/victim.h"

namespace dspool::chaos {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMovePatience{5'000};
constexpr std::uint64_t kLatestKillUs = 3'000;  // after the move has begun

// SIGKILL of a worker to which a session is moved, or away from which all are, while that goes on.
class InterruptedMove final : public Fault {
 public:
  void strike(Scene& scene) override {
    const auto doing = scene.below(2) == 0 ? Victim::Doing::kNothing : Victim::Doing::kSomething;
    const auto victim = Victim::pick(scene.engine, doing, scene.random());
    if (!victim) return;
    const bool moves_one = scene.below(2) == 0;
    const std::string& session = scene.sessions[scene.below(scene.sessions.size())];
    const std::chrono::microseconds pause(scene.below(kLatestKillUs));
    std::thread killer([&] {
      std::this_thread::sleep_for(pause);
      victim->send(SIGKILL);
    });
    const Result<void> moved =
        moves_one ? scene.engine.migrate_session(session, victim->name(), kMovePatience)
                  : scene.engine.evacuate_worker(victim->name(), kMovePatience);
    killer.join();
    scene.tell("interrupted_move", (moves_one ? session + " to " : "all from ") + victim->name() +
                                       ": " + (moved ? "ok" : moved.error().code));
  }
};

}  // namespace

std::unique_ptr<Fault> make_interrupted_move() { return std::make_unique<InterruptedMove>(); }

}  // namespace dspool::chaos
