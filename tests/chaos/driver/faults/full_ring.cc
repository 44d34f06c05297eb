#include <csignal>

#include "tests/chaos/driver/faults/all.h"
#include "tests/chaos/driver/victim.h"

namespace dspool::chaos {
namespace {

using std::chrono::milliseconds;

constexpr int kHeavyCalls = 48;
constexpr int kHeavySessions = 24;
constexpr std::size_t kLongestPadding =
    160 * 1024;  // up to 64 KiB are in the ring, more in the slab

// A worker that is stopped takes nothing out of its ring, and calls with long arguments fill that
// and the slab. What does not fit waits, or goes elsewhere; when the worker wakes up all goes on.
class FullRing final : public Fault {
 public:
  void strike(Scene& scene) override {
    const auto victim = Victim::pick(scene.engine, Victim::Doing::kNothing, scene.random());
    if (!victim || !victim->send(SIGSTOP)) return;
    for (int i = 0; i < kHeavyCalls; ++i) {
      const std::string session = "heavy-" + std::to_string(scene.below(kHeavySessions));
      scene.caller.submit({.session = session,
                           .command = "weigh",
                           .token = scene.caller.new_token(),
                           .by = 1,
                           .padding = 1 + scene.below(kLongestPadding),
                           .options = {.timeout = milliseconds(200 + scene.below(600))}});
    }
    scene.tell("full_ring", victim->name());
    scene.pause(milliseconds(200 + scene.below(400)));
    victim->send(SIGCONT);
  }
  [[nodiscard]] milliseconds interval() const override { return milliseconds(300); }
};

}  // namespace

std::unique_ptr<Fault> make_full_ring() { return std::make_unique<FullRing>(); }

}  // namespace dspool::chaos
