#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

constexpr std::chrono::milliseconds kChangePatience{5'000};  // with one change; then comes the next

// The pool changes under its sessions.
class Churn final : public Fault {
 public:
  void strike(Scene& scene) override {
    std::string what;
    const Result<void> made = change(scene, what);
    scene.tell("churn", what + ": " + (made ? "ok" : made.error().code));
  }
  void relent(Scene& scene) override {
    const auto back = scene.engine.resize(scene.pool_size, 2 * kChangePatience);
    scene.tell("churn", back ? "as it was" : back.error().describe());
  }

 private:
  static Result<void> change(Scene& scene, std::string& what) {
    Engine& engine = scene.engine;
    switch (scene.below(5)) {
      case 0: {
        const auto size = static_cast<std::uint32_t>(1 + scene.below(scene.pool_size + 1));
        what = "resize to " + std::to_string(size);
        return engine.resize(size, kChangePatience);
      }
      case 1:
        what = "drain " + some_worker(scene);
        return engine.drain_worker(what.substr(what.find(' ') + 1), kChangePatience);
      case 2:
        what = "evacuate " + some_worker(scene);
        return engine.evacuate_worker(what.substr(what.find(' ') + 1), kChangePatience);
      case 3: {
        const std::string worker = some_worker(scene);
        const std::string& session = scene.sessions[scene.below(scene.sessions.size())];
        what = "migrate " + session + " to " + worker;
        return engine.migrate_session(session, worker, kChangePatience);
      }
      default:
        what = "rebalance";
        return engine.rebalance(kChangePatience).map([](std::uint64_t) {});
    }
  }

  // One that was there a moment ago.
  static std::string some_worker(Scene& scene) {
    const Health health = scene.engine.health_check(std::chrono::milliseconds(0));
    if (health.workers.empty()) return {};
    return health.workers[scene.below(health.workers.size())].worker;
  }
};

}  // namespace

std::unique_ptr<Fault> make_churn() { return std::make_unique<Churn>(); }

}  // namespace dspool::chaos
