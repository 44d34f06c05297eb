#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

constexpr std::uint32_t kMostOpenFiles = 128;

// Commands open files and forget them. Once their worker may open no more they fail, and others
// that need none go on there.
class LeakDescriptors final : public Fault {
 public:
  void configure(Config& config) override { config.worker.max_open_files = kMostOpenFiles; }

  void strike(Scene& scene) override {
    const auto count = 1 + scene.below(kMostOpenFiles + 50);
    const Operation leaking{.session = scene.sessions[scene.below(scene.sessions.size())],
                            .command = "leak_descriptors",
                            .token = scene.caller.new_token(),
                            .by = 0,
                            .more = "\"count\":" + std::to_string(count)};
    const auto answer = scene.caller.call(leaking);
    scene.tell("leak_descriptors",
               std::to_string(count) + ": " + (answer ? "opened" : answer.error().describe()));
    if (answer && count >= kMostOpenFiles) {
      scene.findings.add("told", "a worker has more files open than it may");
    }
  }
};

}  // namespace

std::unique_ptr<Fault> make_leak_descriptors() { return std::make_unique<LeakDescriptors>(); }

}  // namespace dspool::chaos
