// An engine that can be killed at every step: it starts a worker, prints its pid on one line, and
// converses with it to the end.
#include <cstdio>
#include <cstdlib>

#include "tests/ipc/conversation.h"

int main() {
  using namespace dspool::ipc;  // NOLINT(google-build-using-namespace)
  const auto payloads = PayloadStore::create(1 << 20).value();
  const auto engine = EngineChannel::create(1, Conversation::sizes(*payloads)).value();
  Conversation conversation(*engine, *payloads);
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
