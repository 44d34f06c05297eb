#include <csignal>

#include "tests/chaos/driver/faults/all.h"
#include "tests/chaos/driver/victim.h"

namespace dspool::chaos {
namespace {

// SIGKILL of a worker, of one that has nothing to do or of one that runs a command.
class Kill final : public Fault {
 public:
  Kill(std::string_view name, Victim::Doing doing) noexcept : name_(name), doing_(doing) {}

  void strike(Scene& scene) override {
    const auto victim = Victim::pick(scene.engine, doing_, scene.random());
    if (victim && victim->send(SIGKILL)) scene.tell(name_, victim->name());
  }

 private:
  std::string_view name_;
  Victim::Doing doing_;
};

}  // namespace

std::unique_ptr<Fault> make_kill_idle() {
  return std::make_unique<Kill>("kill_idle", Victim::Doing::kNothing);
}

std::unique_ptr<Fault> make_kill_mid_call() {
  return std::make_unique<Kill>("kill_mid_call", Victim::Doing::kSomething);
}

}  // namespace dspool::chaos
