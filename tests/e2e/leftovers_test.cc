// After the engine stops, or is killed, no process, shared memory or descriptor of it remains.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/e2e/captured_log.h"
#include "tests/e2e/pool.h"

namespace dspool {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr int kTwoSecondsMs = 2000;

std::set<std::string> names_in(const char* folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.insert(entry.path().filename());
  }
  return names;
}

std::size_t open_descriptors() { return names_in("/proc/self/fd").size(); }

// The program's pid, and those of its workers and of who forks them.
struct Holder {
  pid_t pid = 0;
  std::vector<int> workers;
};

Holder start_holder(std::string start_method) {
  int output[2];
  EXPECT_EQ(::pipe2(output, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  std::string program = DSPOOL_POOL_HOLDER;
  char* const arguments[] = {program.data(), start_method.data(), nullptr};
  Holder holder;
  EXPECT_EQ(::posix_spawn(&holder.pid, program.c_str(), &actions, nullptr, arguments, environ), 0);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(output[1]);
  std::string line;
  for (char c = 0; ::read(output[0], &c, 1) == 1 && c != '\n';) line.push_back(c);
  ::close(output[0]);
  std::istringstream pids(line);
  for (int pid = 0; pids >> pid;) holder.workers.push_back(pid);
  return holder;
}

void expect_nothing_left(const std::string& start_method, std::size_t processes) {
  const auto shared_memory = names_in("/dev/shm");
  const Holder holder = start_holder(start_method);
  ASSERT_THAT(holder.workers, SizeIs(processes));
  std::vector<pollfd> ends;
  for (const int worker : holder.workers) {
    const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, worker, 0));
    ASSERT_GE(pidfd, 0);
    ends.push_back({.fd = pidfd, .events = POLLIN, .revents = 0});
  }
  EXPECT_EQ(names_in("/dev/shm"), shared_memory) << "a channel has no name";
  ::kill(holder.pid, SIGKILL);
  for (pollfd& end : ends) {
    EXPECT_EQ(::poll(&end, 1, kTwoSecondsMs), 1) << "a worker lives on";
    ::close(end.fd);
  }
  ::waitpid(holder.pid, nullptr, 0);
  EXPECT_EQ(names_in("/dev/shm"), shared_memory);
}

TEST(LeftoversTest, WorkersEndWithinTwoSecondsOfAKilledProgram) { expect_nothing_left("spawn", 2); }

TEST(LeftoversTest, SoDoForkedOnesAndTheirServer) { expect_nothing_left("forkserver", 3); }

TEST(LeftoversTest, AnEngineThatStopsLeavesNoProcessAndNoDescriptor) {
  { test::start_pool(test::pool_config(1)); }  // what libraries open once stays open
  const std::size_t before = open_descriptors();
  std::vector<int> pids;
  {
    const auto engine = test::start_pool(test::pool_config(2));
    ASSERT_NE(engine, nullptr);
    EXPECT_TRUE(engine->execute_in_session("a", "increment", {}));
    for (const WorkerHealth& worker : engine->health_check().workers) pids.push_back(worker.pid);
  }
  ASSERT_THAT(pids, SizeIs(2));
  for (const int pid : pids) EXPECT_EQ(::kill(pid, 0), -1) << "worker " << pid << " lives on";
  EXPECT_EQ(open_descriptors(), before);
}

TEST(LeftoversTest, AWorkerThatIsDrainedIsNoLoss) {
  Config config = test::pool_config(1);
  test::CapturedLog log;
  log.capture(config, LogLevel::kWarning);
  for (int i = 0; i < 10; ++i) test::start_pool(config).reset();
  EXPECT_THAT(log.text(), IsEmpty());
}

TEST(LeftoversTest, ReplacedWorkersLeaveNoDescriptor) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  const auto replace = [&] {
    EXPECT_FALSE(engine->execute_in_session("a", "exit", {}));
    EXPECT_TRUE(engine->execute_in_session("a", "increment", {}));
  };
  replace();
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 5; ++i) replace();
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace dspool
