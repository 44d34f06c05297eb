#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/chaos/driver/faults/all.h"
#include "tests/chaos/driver/victim.h"

namespace dspool::chaos {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRepairPatience{10'000};

// While a file is there, no new worker can import the adapter; then it can again.
class ImportError final : public Fault {
 public:
  ~ImportError() override { mend(); }

  void configure(Config& config) override {
    config.worker.environment.push_back("LEDGER_BROKEN_BY=" + breaks_.string());
    config.worker.max_restarts = 3;
  }

  void strike(Scene& scene) override {
    std::ofstream(breaks_).put('\n');
    const std::uint64_t killed = 1 + scene.below(scene.pool_size);
    for (std::uint64_t i = 0; i < killed; ++i) {
      const auto doing = scene.below(2) == 0 ? Victim::Doing::kNothing : Victim::Doing::kSomething;
      const auto victim = Victim::pick(scene.engine, doing, scene.random());
      if (victim && victim->send(SIGKILL)) scene.tell("import_error", "killed " + victim->name());
    }
    scene.pause(milliseconds(scene.below(1'000)));
    mend();
    give_another_chance(scene);
  }
  void relent(Scene& scene) override {
    mend();
    give_another_chance(scene);
  }

 private:
  void mend() const {
    std::error_code gone;
    std::filesystem::remove(breaks_, gone);
  }

  // Where too many have died, none is started for a long time, unless somebody asks.
  static void give_another_chance(Scene& scene) {
    const auto mended = scene.engine.resize(scene.pool_size, kRepairPatience);
    scene.tell("import_error", mended ? "mended" : mended.error().describe());
  }

  const std::filesystem::path breaks_ = std::filesystem::temp_directory_path() /
                                        ("dspool-ledger-broken-" + std::to_string(::getpid()));
};

}  // namespace

std::unique_ptr<Fault> make_import_error() { return std::make_unique<ImportError>(); }

}  // namespace dspool::chaos
