#include "ipc/lifeline.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <csignal>

#include "tests/ipc/child.h"

namespace dspool::ipc {
namespace {

struct Sockets {
  FileDescriptor ours, theirs;
};

Sockets connect() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

TEST(LifelineTest, EndsQuietlyWhenItIsStopped) {
  const Sockets sockets = connect();
  for (int time = 0; time < 100; ++time) ASSERT_TRUE(Lifeline::start(sockets.ours.get()));
}

TEST(LifelineTest, LeavesMessagesAlone) {
  const Sockets sockets = connect();
  const auto lifeline = Lifeline::start(sockets.ours.get());
  ASSERT_TRUE(lifeline);
  char byte = 'x';
  ASSERT_EQ(::send(sockets.theirs.get(), &byte, 1, 0), 1);
  ASSERT_EQ(::recv(sockets.ours.get(), &byte, 1, 0), 1);
}

// A process in our group: had its lifeline ended the group, this test would end too.
TEST(LifelineTest, EndsOnlyAProcessThatLeadsNoGroup) {
  Sockets sockets = connect();
  const pid_t child = ::fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    sockets.theirs.close();
    const auto lifeline = Lifeline::start(sockets.ours.get());
    while (true) ::pause();
  }
  sockets.ours.close();
  sockets.theirs.close();
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// The shell becomes the peer and leaves a process in its group that knows nothing of a channel.
TEST(LifelineTest, EndsTheWholeGroupWhenTheEngineIsGone) {
  auto engine = EngineChannel::create(1, kSmallestRings).value();
  const auto child =
      spawn({.program = "/bin/sh",
             .arguments = {"-c", "sleep 1000 & echo $!; exec \"$0\"", echo_peer_path()},
             .environment = {"PATH=/usr/bin:/bin"},
             .descriptors = engine->child_descriptors()});
  engine->close_child_ends();
  const FileDescriptor grandchild = watch(read_text(child->standard_output(), true));
  ASSERT_TRUE(grandchild.is_open());
  RecordHeader header{};
  std::vector<std::byte> body;
  ASSERT_TRUE(push(*engine, 1, {}));
  publish_and_ring(*engine);
  ASSERT_EQ(receive_waiting(*engine, header, body, child->pidfd()),
            EngineChannel::Received::kRecord);

  engine.reset();  // what the kernel does for an engine that was killed
  EXPECT_TRUE(readable(grandchild.get()));
  EXPECT_EQ(wait_for_end(*child).describe(), "killed by SIGKILL");
}

}  // namespace
}  // namespace dspool::ipc
