#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

using std::chrono::milliseconds;

// Callers that cancel before, while and after their command runs, and callers whose deadline is
// over at once.
class LeaveEarly final : public Fault {
 public:
  void strike(Scene& scene) override {
    for (int i = 0; i < 8; ++i) {
      Operation left{.session = scene.sessions[scene.below(scene.sessions.size())],
                     .command = "slow_add",
                     .token = scene.caller.new_token(),
                     .by = 1,
                     .more = "\"ms\":" + std::to_string(scene.below(20))};
      if (scene.below(2) == 0) left.options.timeout = milliseconds(1 + scene.below(10));
      const CallId call = scene.caller.submit(left);
      if (left.options.timeout) continue;
      if (scene.below(2) == 0 && !scene.pause(milliseconds(scene.below(10)))) return;
      scene.engine.cancel(call);
    }
    scene.tell("leave_early", "8 calls");
  }
  [[nodiscard]] milliseconds interval() const override { return milliseconds(20); }
};

}  // namespace

std::unique_ptr<Fault> make_leave_early() { return std::make_unique<LeaveEarly>(); }

}  // namespace dspool::chaos
