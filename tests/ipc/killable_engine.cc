// An engine that can be killed at every step: it starts a worker, prints its pid on one line, and
// converses with it to the end.
#include <cstdio>
#include <cstdlib>

#include "tests/ipc/conversation.h"

int main() {
  using namespace dspool::ipc;  // NOLINT(google-build-using-namespace)
  const auto engine = EngineChannel::create(1, kSmallestRings).value();
  Conversation conversation(*engine);
  const auto worker = spawn({.program = beside_this_program("killable_peer"),
                             .arguments = {},
                             .environment = {},
                             .descriptors = engine->child_descriptors()});
  engine->close_child_ends();
  std::printf("%d\n", worker->pid());
  std::fflush(stdout);
  conversation.begin();
  conversation.go_on(*worker);
  return conversation.answered() == Conversation::kRequests ? EXIT_SUCCESS : EXIT_FAILURE;
}
