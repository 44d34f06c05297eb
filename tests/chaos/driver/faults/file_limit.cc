#include <sys/resource.h>

#include <csignal>

#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

using std::chrono::milliseconds;

// This process may write no files for a while, as if the disk were full: no commit of the durable
// store succeeds, and no memory file can be made longer. What the driver itself has to write waits
// (json_lines.h).
class FileLimit final : public Fault {
 public:
  [[nodiscard]] bool needs_store() const override { return true; }

  void configure(Config& /*config*/) override {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
  }

  void strike(Scene& scene) override {
    const rlimit full{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    if (::setrlimit(RLIMIT_FSIZE, &full) != 0) return;
    const milliseconds span(20 + scene.below(250));
    scene.pause(span);
    ::setrlimit(RLIMIT_FSIZE, &before_);
    scene.tell("file_limit", "for " + std::to_string(span.count()) + " ms");
  }
  [[nodiscard]] milliseconds interval() const override { return milliseconds(300); }

 private:
  rlimit before_{};
};

}  // namespace

std::unique_ptr<Fault> make_file_limit() { return std::make_unique<FileLimit>(); }

}  // namespace dspool::chaos
