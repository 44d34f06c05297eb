#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

// A command that ends its worker.
class FatalCommand final : public Fault {
 public:
  explicit FatalCommand(std::string_view command) noexcept : command_(command) {}

  void strike(Scene& scene) override {
    const Operation fatal{.session = scene.sessions[scene.below(scene.sessions.size())],
                          .command = std::string(command_),
                          .token = scene.caller.new_token()};
    const auto answer = scene.caller.call(fatal);
    scene.tell(command_, answer ? "it was answered" : answer.error().describe());
  }

 private:
  std::string_view command_;
};

}  // namespace

std::unique_ptr<Fault> make_exit() { return std::make_unique<FatalCommand>("exit"); }
std::unique_ptr<Fault> make_segfault() { return std::make_unique<FatalCommand>("segfault"); }

}  // namespace dspool::chaos
