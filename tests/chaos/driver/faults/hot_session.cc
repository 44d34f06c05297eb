#include <algorithm>
#include <atomic>
#include <latch>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

using std::chrono::milliseconds;

constexpr int kHotCallers = 1'000;

// 1,000 threads call one session at the same moment. Its queue takes a few, and the others are
// refused: each command takes so long that all of them could not be served by their deadline.
class HotSession final : public Fault {
 public:
  void strike(Scene& scene) override {
    std::latch begun(1);
    std::atomic<int> answered = 0;
    std::atomic<int> refused = 0;
    std::vector<std::thread> callers;
    callers.reserve(kHotCallers);
    const auto call = [&scene, &begun, &answered, &refused] {
      const Operation change{.session = scene.sessions.front(),
                             .command = "slow_add",
                             .token = scene.caller.new_token(),
                             .by = 1,
                             .more = "\"ms\":20"};
      begun.wait();
      const auto answer = scene.caller.call(change);
      if (answer) ++answered;
      if (!answer && answer.error().code == "session_queue_full") ++refused;
    };
    try {
      while (callers.size() < kHotCallers) callers.emplace_back(call);
    } catch (const std::system_error&) {
      scene.tell("hot_session", "the machine has no more threads");
    }
    begun.count_down();
    std::ranges::for_each(callers, &std::thread::join);
    scene.tell("hot_session", std::to_string(callers.size()) +
                                  " callers: " + std::to_string(answered) + " answered, " +
                                  std::to_string(refused) + " refused");
    if (callers.size() == kHotCallers && answered == kHotCallers) {
      scene.findings.add("told", "the queue of a session took 1,000 callers");
    }
  }
  [[nodiscard]] milliseconds interval() const override { return milliseconds(400); }
};

}  // namespace

std::unique_ptr<Fault> make_hot_session() { return std::make_unique<HotSession>(); }

}  // namespace dspool::chaos
