#include <random>

#include "tests/chaos/driver/canary.h"
#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

// The key of the pool's language model, and of a session's, is a canary. It is looked for wherever
// others could read it: in memory that is shared, while the engine works; in its workers'
// environment and command lines; and, when it has stopped, in all that it wrote.
class Secrets final : public Fault {
 public:
  void strike(Scene& scene) override {
    const auto set = scene.engine.set_lm(
        {.model = "openai/offline", .api_key = canary_.text(), .temperature = scene.below(2)});
    if (!set) return scene.tell("secrets", set.error().describe());
    // Its worker has the key, and tells it.
    const Operation telling{.session = scene.sessions[scene.below(scene.sessions.size())],
                            .command = "tell_key",
                            .token = scene.caller.new_token()};
    const auto answer = scene.caller.call(telling);
    scene.tell("secrets", answer ? "answered" : answer.error().describe());
    const std::string size = std::to_string(canary_.text().size());
    if (!answer && answer.error().code == "key_told" &&
        answer.error().message.find(size) == std::string::npos) {
      scene.findings.add("secrets", "a worker did not have the key that was set");
    }
    strike_in_session(scene);
    look_now(scene);
  }
  void relent(Scene& scene) override { look_now(scene); }
  void look_back(const std::filesystem::path& evidence, const Findings& findings) override {
    for (const std::string& place : canary_.find_in_files(evidence)) tell(findings, place);
  }

 private:
  // The same of a session's own model, in a session where nobody else calls.
  void strike_in_session(Scene& scene) const {
    constexpr std::string_view kKeeper = "keeper of a key";
    const auto set = scene.engine.execute_in_session(
        kKeeper, "set_lm", {{"model", "openai/own"}, {"api_key", canary_.text()}},
        {.idempotency_key = "set"});
    if (!set) return scene.tell("secrets", set.error().describe());
    const auto told = scene.engine.execute_in_session(kKeeper, "tell_key", {{"token", 0}});
    if (told || told.error().code != "key_told") return;  // there are other faults, too
    const std::string size = std::to_string(canary_.text().size());
    if (told.error().message.find(size) == std::string::npos) {
      scene.findings.add("secrets", "a worker did not have the session's key");
    }
  }
  void look_now(Scene& scene) const {
    for (const std::string& place : canary_.find_in_shared_memory()) tell(scene.findings, place);
    for (const std::string& place : canary_.find_in_processes()) tell(scene.findings, place);
  }
  static void tell(const Findings& findings, const std::string& place) {
    findings.add("secrets", "the key is in " + place);
  }

  Canary canary_{std::random_device()()};
};

}  // namespace

std::unique_ptr<Fault> make_secrets() { return std::make_unique<Secrets>(); }

}  // namespace dspool::chaos
