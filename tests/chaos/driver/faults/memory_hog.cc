#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

constexpr std::uint64_t kHogLimitMib = 256;

// A command asks for more than its worker may have: the call is told so, the worker lives.
class MemoryHog final : public Fault {
 public:
  void configure(Config& config) override {
    config.worker.memory_limit = kHogLimitMib << 20;
    config.worker.cgroups = Cgroups::kOff;  // the limit of the process is what is to be met
  }

  void strike(Scene& scene) override {
    const auto mib = kHogLimitMib * (1 + scene.below(8));
    const Operation greedy{.session = scene.sessions[scene.below(scene.sessions.size())],
                           .command = "hog_memory",
                           .token = scene.caller.new_token(),
                           .more = "\"mib\":" + std::to_string(mib)};
    const auto answer = scene.caller.call(greedy);
    const std::string told = answer ? "answered" : answer.error().describe();
    scene.tell("memory_hog", std::to_string(mib) + " MiB: " + told);
    // Where another fault ended the call first, that is told.
    if (answer || answer.error().category == ErrorCategory::kPython) {
      scene.findings.add("told", "a command that had no memory was " + told);
    }
  }
  [[nodiscard]] std::chrono::milliseconds interval() const override {
    return std::chrono::milliseconds(50);
  }
};

}  // namespace

std::unique_ptr<Fault> make_memory_hog() { return std::make_unique<MemoryHog>(); }

}  // namespace dspool::chaos
