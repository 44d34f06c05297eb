#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBriefTtl{300};
constexpr int kBriefSessions = 4;

// Sessions of its own live for 300 ms, and are used at about that interval: some calls find them,
// some find them expired, and some begin them anew.
class Expiry final : public Fault {
 public:
  void strike(Scene& scene) override {
    const std::string session = "brief-" + std::to_string(scene.below(kBriefSessions));
    const Operation use{.session = session,
                        .command = scene.below(4) == 0 ? "read" : "add",
                        .token = scene.caller.new_token(),
                        .by = 0};
    const auto answer = scene.caller.call(use);
    if (answer || answer.error().code != "session_expired") return;
    const auto begun = scene.caller.call(
        {.kind = Operation::Kind::kCreateSession, .session = session, .ttl = kBriefTtl});
    scene.tell("expiry", session + (begun ? " begun anew" : ": " + begun.error().code));
  }
  void configure(Config& config) override { config.session.ttl = kBriefTtl; }
  [[nodiscard]] milliseconds interval() const override { return milliseconds(75); }
};

}  // namespace

std::unique_ptr<Fault> make_expiry() { return std::make_unique<Expiry>(); }

}  // namespace dspool::chaos
