#include "ipc/lifeline.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

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

// The directory of this process's thread of that name.
std::filesystem::path task_named(const std::string& name) {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string line;
    std::getline(std::ifstream(task.path() / "comm"), line);
    if (line == name) return task.path();
  }
  return {};
}

std::ptrdiff_t count_descriptors(const std::filesystem::path& task) {
  return std::distance(std::filesystem::directory_iterator(task / "fd"), {});
}

bool hung_up(int socket, int timeout_ms) {
  pollfd watched{.fd = socket, .events = 0, .revents = 0};
  return ::poll(&watched, 1, timeout_ms) == 1 && (watched.revents & POLLHUP) != 0;
}

TEST(LifelineTest, EndsQuietlyWhenItIsStopped) {
  for (int time = 0; time < 100; ++time) {
    Sockets sockets = connect();
    ASSERT_TRUE(Lifeline::start(std::move(sockets.ours)));
  }
}

TEST(LifelineTest, LeavesMessagesAlone) {
  Sockets sockets = connect();
  const FileDescriptor ours(::dup(sockets.ours.get()));
  const auto lifeline = Lifeline::start(std::move(sockets.ours));
  ASSERT_TRUE(lifeline);
  char byte = 'x';
  ASSERT_EQ(::send(sockets.theirs.get(), &byte, 1, 0), 1);
  ASSERT_EQ(::recv(ours.get(), &byte, 1, 0), 1);
}

// A killed process's last thread leaves late. Whichever it is, one of two tables is closed before.
TEST(LifelineTest, HasTheSocketInADescriptorTableOfItsOwn) {
  Sockets sockets = connect();
  const int socket = sockets.ours.get();
  const auto lifeline = Lifeline::start(std::move(sockets.ours));
  ASSERT_TRUE(lifeline);
  EXPECT_EQ(::fcntl(socket, F_GETFD), -1) << "nor do forks have it";
  EXPECT_EQ(count_descriptors(task_named("dspool-lifeline")), 2)
      << "the socket, and one to stop it";
  EXPECT_FALSE(hung_up(sockets.theirs.get(), 0));
}

TEST(LifelineTest, HangsUpWithItsThread) {
  Sockets sockets = connect();
  auto lifeline = Lifeline::start(std::move(sockets.ours));
  ASSERT_TRUE(lifeline);
  lifeline->reset();  // a thread that was joined may still have to close its descriptors
  EXPECT_TRUE(hung_up(sockets.theirs.get(), kWatchdogMs));
}

// A process in our group: had its lifeline ended the group, this test would end too.
TEST(LifelineTest, EndsOnlyAProcessThatLeadsNoGroup) {
  Sockets sockets = connect();
  const pid_t child = ::fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    sockets.theirs.close();
    const auto lifeline = Lifeline::start(std::move(sockets.ours));
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
  exchange(*engine, 1, child->pidfd());

  engine.reset();  // what the kernel does for an engine that was killed
  EXPECT_TRUE(readable(grandchild.get()));
  EXPECT_EQ(wait_for_end(*child).describe(), "killed by SIGKILL");
}

TEST(LifelineTest, AKilledProcessHangsUpOnBothSockets) {
  const auto engine = EngineChannel::create(1, kSmallestRings).value();
  const auto child = spawn({.program = echo_peer_path(),
                            .arguments = {},
                            .environment = {},
                            .descriptors = engine->child_descriptors()});
  engine->close_child_ends();
  exchange(*engine, 1, child->pidfd());
  for (const int socket : engine->hang_ups()) EXPECT_FALSE(hung_up(socket, 0));
  child->kill(SIGKILL);
  for (const int socket : engine->hang_ups()) EXPECT_TRUE(hung_up(socket, kWatchdogMs));
}

}  // namespace
}  // namespace dspool::ipc
