// Workers that begin as forks of one process that has imported the adapter are workers like any
// others: what they are, how they fail, how they end and what they leave behind is the same.
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <thread>

#include "ipc/file_descriptor.h"
#include "tests/e2e/captured_log.h"
#include "tests/e2e/pool.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

using test::kPatience;
using testing::AllOf;
using testing::HasSubstr;

Config fork_config(std::uint32_t workers, const std::string& adapter = "forkable:Forkable") {
  Config config = test::pool_config(workers, adapter);
  config.worker.start_method = StartMethod::kForkServer;
  return config;
}

int number_of(Engine& engine, std::string_view command) {
  const auto answer = engine.execute_anonymous(command, {}, {.max_retries = 5});
  EXPECT_TRUE(answer) << answer.error().describe();
  return answer ? static_cast<int>(answer->value.as_int64()) : 0;
}

// Kills a worker of a pool of one, and waits for the next.
void replace_worker(Engine& engine) {
  const int worker = number_of(engine, "pid");
  const std::uint64_t restarts = engine.stats().worker_restarts;
  ::kill(worker, SIGKILL);
  while (engine.stats().worker_restarts == restarts) std::this_thread::yield();
  ASSERT_TRUE(engine.wait_until_ready(kPatience));
}

// Of a process that runs.
ipc::FileDescriptor watch(int pid) {
  return ipc::FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool ends(const ipc::FileDescriptor& pidfd) {
  pollfd end{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  return ::poll(&end, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) == 1;
}

std::size_t open_descriptors(int pid) {
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST(ForkServerTest, TheAdapterIsConstructedOnceAndItsWorkersServe) {
  const auto engine = test::start_pool(fork_config(2));
  ASSERT_NE(engine, nullptr);
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), i);
  }
  const int server = number_of(*engine, "parent");
  EXPECT_NE(server, ::getpid());
  EXPECT_EQ(number_of(*engine, "constructed_in"), server);
  replace_worker(*engine);
  EXPECT_EQ(number_of(*engine, "parent"), server);
  EXPECT_EQ(number_of(*engine, "constructed_in"), server);
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 6);
}

TEST(ForkServerTest, AForkedWorkerIsAsASpawnedOne) {
  const auto spawned = test::start_pool(test::pool_config(1, "forkable:Forkable"));
  const auto forked = test::start_pool(fork_config(2));
  ASSERT_TRUE(spawned && forked);
  for (int i = 0; i < 3; ++i) replace_worker(*forked);  // nothing is left from one to the next
  const auto expected = spawned->execute_anonymous("traits", {});
  ASSERT_TRUE(expected);
  for (int i = 0; i < 20; ++i) {  // of both: a worker is chosen at random
    const auto traits = forked->execute_anonymous("traits", {}, {.max_retries = 5});
    ASSERT_TRUE(traits) << traits.error().describe();
    EXPECT_EQ(traits->value.to_json(), expected->value.to_json());
  }
}

TEST(ForkServerTest, WorkersDrawDifferentNumbers) {
  const auto engine = test::start_pool(fork_config(1));
  ASSERT_NE(engine, nullptr);
  const double first = engine->execute_anonymous("draw", {})->value.as_double();
  replace_worker(*engine);
  EXPECT_NE(engine->execute_anonymous("draw", {})->value.as_double(), first);
}

TEST(ForkServerTest, TheLanguageModelReachesAWorkerThatIsForkedLater) {
  const auto engine = test::start_pool(fork_config(1));
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->set_lm({.model = "openai/offline"}));
  replace_worker(*engine);
  const auto told = engine->execute_anonymous("language_model", {});
  ASSERT_TRUE(told) << told.error().describe();
  EXPECT_EQ(told->value["model"].as_string(), "openai/offline");
}

TEST(ForkServerTest, HowAWorkerEndedIsTold) {
  Config config = fork_config(1);
  test::CapturedLog log;
  log.capture(config, LogLevel::kWarning);
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(test::code_of(engine->execute_anonymous("exit", {{"status", 7}})), "worker_lost");
  EXPECT_TRUE(log.wait_for("(exit status 7) and is replaced", kPatience)) << log.text();
  replace_worker(*engine);
  EXPECT_TRUE(log.wait_for("(killed by SIGKILL) and is replaced", kPatience)) << log.text();
}

TEST(ForkServerTest, WhatAWorkerLeavesEndsWithIt) {
  const auto engine = test::start_pool(fork_config(1));
  ASSERT_NE(engine, nullptr);
  const auto left = watch(number_of(*engine, "leave_a_process"));
  replace_worker(*engine);
  EXPECT_TRUE(ends(left));
}

TEST(ForkServerTest, WorkersOutliveTheServerAndTheNextComesFromANewOne) {
  Config config = fork_config(2);
  test::CapturedLog log;
  log.capture(config, LogLevel::kWarning);
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  const int server = number_of(*engine, "parent");
  const auto before = engine->health_check().workers;
  ::kill(server, SIGKILL);
  ASSERT_TRUE(log.wait_for("fork-server ended (killed by SIGKILL) and is replaced", kPatience))
      << log.text();
  EXPECT_TRUE(engine->execute_in_session("a", "increment", {}));
  const auto after = engine->health_check().workers;
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) EXPECT_EQ(after[i].pid, before[i].pid);
  EXPECT_EQ(engine->stats().workers_lost, 0U);
  const int last_of_the_old = test::pid_of(*engine, "a");
  ::kill(last_of_the_old, SIGKILL);
  while (engine->stats().worker_restarts < 1) std::this_thread::yield();
  ASSERT_TRUE(engine->wait_until_ready(kPatience));
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 2);
  ::kill(before[0].pid == last_of_the_old ? before[1].pid : before[0].pid, SIGKILL);
  while (engine->stats().worker_restarts < 2) std::this_thread::yield();
  ASSERT_TRUE(engine->wait_until_ready(kPatience));
  const int next_server = number_of(*engine, "parent");
  EXPECT_NE(next_server, server);
  EXPECT_EQ(number_of(*engine, "constructed_in"), next_server);
}

// A worker that is asked for while there is no server waits for the next one.
TEST(ForkServerTest, AServerAndItsWorkersThatDieTogetherAreReplaced) {
  const auto engine = test::start_pool(fork_config(2));
  ASSERT_NE(engine, nullptr);
  for (std::uint64_t round = 1; round <= 3; ++round) {
    const auto workers = engine->health_check().workers;
    ::kill(number_of(*engine, "parent"), SIGKILL);
    for (const WorkerHealth& worker : workers) ::kill(worker.pid, SIGKILL);
    while (engine->stats().worker_restarts < 2 * round) std::this_thread::yield();
    ASSERT_TRUE(engine->wait_until_ready(kPatience));
  }
  EXPECT_TRUE(engine->execute_in_session("a", "increment", {}));
}

// One that is stopped can tell nothing; it is given up, and its workers with it live on.
TEST(ForkServerTest, AServerThatHangsIsReplaced) {
  const auto engine = test::start_pool(fork_config(1));
  ASSERT_NE(engine, nullptr);
  const int server = number_of(*engine, "parent");
  ::kill(server, SIGSTOP);
  const auto stopped = watch(server);
  replace_worker(*engine);
  EXPECT_TRUE(ends(stopped));
  EXPECT_NE(number_of(*engine, "parent"), server);
}

TEST(ForkServerTest, AnAdapterThatCannotBeImportedIsTheSameErrorAsWithSpawn) {
  for (const char* adapter : {"no_such_module:Adapter", "broken_adapters:Refuses",
                              "forkable:FailsInStart", "forkable:Forkabel"}) {
    const auto spawned = Engine::start(test::pool_config(1, adapter));
    const auto forked = Engine::start(fork_config(1, adapter));
    ASSERT_FALSE(spawned);
    ASSERT_FALSE(forked);
    EXPECT_EQ(forked.error().code, "adapter_failed");
    EXPECT_EQ(forked.error().category, spawned.error().category);
    EXPECT_EQ(forked.error().message, spawned.error().message);
    EXPECT_EQ(forked.error().exception_type, spawned.error().exception_type);
    EXPECT_THAT(forked.error().traceback, HasSubstr("Traceback (most recent call last)"));
  }
}

TEST(ForkServerTest, AnAdapterThatStartsAThreadIsRefusedByItsName) {
  const auto engine = Engine::start(fork_config(1, "forkable:Threaded"));
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().category, ErrorCategory::kInitialization);
  EXPECT_EQ(engine.error().code, "fork_refused");
  EXPECT_THAT(engine.error().message,
              AllOf(HasSubstr("flusher"), HasSubstr("worker.start_method = \"spawn\"")));
}

TEST(ForkServerTest, AnAdapterThatKeepsACacheOpenIsRefusedByTheFile) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.path() / "cache.db";
  ::setenv("DSPOOL_TEST_CACHE", path.c_str(), 1);
  const auto engine = Engine::start(fork_config(1, "forkable:OpenCache"));
  ::unsetenv("DSPOOL_TEST_CACHE");
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, "fork_refused");
  EXPECT_THAT(engine.error().message, AllOf(HasSubstr(path), HasSubstr("spawn")));
}

TEST(ForkServerTest, AnAdapterThatStartsAProcessIsRefused) {
  const auto engine = Engine::start(fork_config(1, "forkable:Companion"));
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, "fork_refused");
  EXPECT_THAT(engine.error().message, AllOf(HasSubstr("started a process"), HasSubstr("spawn")));
}

TEST(ForkServerTest, ThreadsThatHaveEndedOrBeginInTheWorkerAreAllowed) {
  EXPECT_NE(test::start_pool(fork_config(1, "forkable:JoinedThread")), nullptr);
  EXPECT_NE(test::start_pool(fork_config(2, "forkable:StartsAThreadLater")), nullptr);
}

TEST(ForkServerTest, AServerThatDiesWhenItForksIsAnErrorNotALoop) {
  const auto engine = Engine::start(fork_config(2, "forkable:DiesWhenForked"));
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, "worker_died");
  EXPECT_THAT(engine.error().message,
              AllOf(HasSubstr("fork its first worker"), HasSubstr("exit status 9")));
}

// It may have been reaped before the engine hears that it was forked.
TEST(ForkServerTest, HowAWorkerEndedThatEndedAtOnceIsTold) {
  for (int i = 0; i < 5; ++i) {
    const auto engine = Engine::start(fork_config(1, "forkable:DiesAsAFork"));
    ASSERT_FALSE(engine);
    EXPECT_EQ(engine.error().code, "worker_died");
    EXPECT_THAT(engine.error().message,
                HasSubstr("worker-0 ended before it was ready (exit status 5)"));
  }
}

TEST(ForkServerTest, APythonWithoutThePackageIsNamed) {
  Config config = fork_config(1);
  config.worker.python = DSPOOL_TEST_ADAPTERS "/bare_python.sh";
  const auto engine = Engine::start(config);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, "worker_died");
  EXPECT_THAT(engine.error().message,
              AllOf(HasSubstr("No module named"), HasSubstr("worker.python_path")));
}

TEST(ForkServerTest, AnEngineThatStopsLeavesNoProcessAndNoDescriptor) {
  { test::start_pool(fork_config(1)); }  // what libraries open once stays open
  const std::size_t before = open_descriptors(::getpid());
  int server = 0;
  std::vector<WorkerHealth> workers;
  {
    const auto engine = test::start_pool(fork_config(2));
    ASSERT_NE(engine, nullptr);
    server = number_of(*engine, "parent");
    workers = engine->health_check().workers;
  }
  for (const WorkerHealth& worker : workers) EXPECT_EQ(::kill(worker.pid, 0), -1) << "it lives on";
  EXPECT_EQ(::kill(server, 0), -1) << "it lives on";
  EXPECT_EQ(open_descriptors(::getpid()), before);
}

TEST(ForkServerTest, ReplacedWorkersLeaveNoDescriptor) {
  const auto engine = test::start_pool(fork_config(1));
  ASSERT_NE(engine, nullptr);
  const int server = number_of(*engine, "parent");
  if (::access(("/proc/" + std::to_string(server) + "/fd").c_str(), R_OK) != 0) {
    GTEST_SKIP() << "the server is closed to its own user: only root sees its descriptors";
  }
  replace_worker(*engine);
  const std::size_t here = open_descriptors(::getpid());
  const std::size_t there = open_descriptors(server);
  for (int i = 0; i < 5; ++i) replace_worker(*engine);
  EXPECT_EQ(open_descriptors(::getpid()), here);
  EXPECT_EQ(open_descriptors(server), there);
}

TEST(ForkServerTest, DspyCanBeForked) {
  Config config = fork_config(2, "dspool_worker.adapters.dspy:Dspy");
  test::CapturedLog log;
  log.capture(config, LogLevel::kWarning);
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr) << log.text();
  const auto created = engine->execute_in_session(
      "a", "create_program", {{"id", "qa"}, {"signature", "question -> answer"}});
  ASSERT_TRUE(created) << created.error().describe();
  for (const WorkerHealth& worker : engine->health_check().workers) ::kill(worker.pid, SIGKILL);
  while (engine->stats().worker_restarts < 2) std::this_thread::yield();
  const auto programs = engine->execute_in_session("a", "list_programs", {}, {.max_retries = 5});
  ASSERT_TRUE(programs) << programs.error().describe();
  EXPECT_EQ(programs->value["total_count"].as_int64(), 1);
}

}  // namespace
}  // namespace dspool
