#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

using std::chrono::milliseconds;

constexpr int kCallsAtOnce = 300;

// Hundreds of calls at once, most of them in one session: what the queues do not take is refused at
// once, and what they take ends by its deadline.
class Overload final : public Fault {
 public:
  void strike(Scene& scene) override {
    for (int i = 0; i < kCallsAtOnce && !scene.over; ++i) {
      const std::uint64_t session = i % 3 == 0 ? scene.below(scene.sessions.size()) : 0;
      const Operation more{.session = scene.sessions[session],
                           .command = "slow_add",
                           .token = scene.caller.new_token(),
                           .by = 1,
                           .more = "\"ms\":2",
                           .options = {.timeout = milliseconds(100 + scene.below(400))}};
      scene.caller.submit(more);
    }
    scene.tell("overload", std::to_string(kCallsAtOnce) + " calls");
  }
  [[nodiscard]] milliseconds interval() const override { return milliseconds(500); }
};

}  // namespace

std::unique_ptr<Fault> make_overload() { return std::make_unique<Overload>(); }

}  // namespace dspool::chaos
