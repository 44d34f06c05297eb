// What a worker is kept from, however it begins: the engine's descriptors and environment, its own
// user's eyes, more memory, files and processes than it was given, and leaving anything behind.
// What needs a cgroup is skipped where this machine gives none.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ipc/cgroup_tree.h"
#include "ipc/file_descriptor.h"
#include "tests/e2e/captured_log.h"
#include "tests/e2e/pool.h"

namespace dspool {
namespace {

using test::kPatience;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kMemoryLimit = std::int64_t{256} << 20;
constexpr const char* kCanary = "canary-3f1c9e0b7d";

ipc::FileDescriptor watch_process(int pid) {
  return ipc::FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool ends_soon(const ipc::FileDescriptor& pidfd) {
  pollfd end{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  return ::poll(&end, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) == 1;
}

bool runs(const ipc::FileDescriptor& pidfd) {
  pollfd end{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  return pidfd.is_open() && ::poll(&end, 1, 0) == 0;
}

std::string content_of_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class ConfinementTest : public testing::TestWithParam<StartMethod> {
 protected:
  ConfinementTest() : config_(test::pool_config(1, "confined:Confined")) {
    config_.worker.start_method = GetParam();
    log_.capture(config_, LogLevel::kInfo);
  }

  // Whether this machine lets us have cgroups with these controllers; the test is skipped if not.
  static bool has_cgroups(const ipc::CgroupUse& asked) {
    const auto tree = ipc::CgroupTree::create(asked);
    return tree && (*tree)->use().memory == asked.memory &&
           (*tree)->use().processes == asked.processes;
  }

  // Kills the worker that answers, and waits for the next.
  static void replace(Engine& engine) {
    const std::uint64_t restarts = engine.stats().worker_restarts;
    ::kill(test::pid_of(engine, "a"), SIGKILL);
    while (engine.stats().worker_restarts == restarts) std::this_thread::yield();
    ASSERT_TRUE(engine.wait_until_ready(kPatience));
  }

  test::CapturedLog log_;
  Config config_;
};

INSTANTIATE_TEST_SUITE_P(, ConfinementTest,
                         testing::Values(StartMethod::kSpawn, StartMethod::kForkServer),
                         [](const auto& method) {
                           return std::string(method.param == StartMethod::kSpawn ? "spawned"
                                                                                  : "forked");
                         });

TEST_P(ConfinementTest, AWorkerHasNoPrivilegeToGainAndNoCoreToLeave) {
  const auto engine = test::start_pool(config_);
  ASSERT_NE(engine, nullptr);
  const auto limits = engine->execute_anonymous("limits", {});
  ASSERT_TRUE(limits) << limits.error().describe();
  EXPECT_EQ(limits->value["no_new_privileges"].as_int64(), 1);
  EXPECT_EQ(limits->value["dumpable"].as_int64(), 0);
  EXPECT_EQ(limits->value["core"].as_int64(), 0);
  EXPECT_EQ(limits->value["seccomp"].as_int64(), 0) << "it was not asked for";
  EXPECT_EQ(limits->value["memory"].as_int64(), -1) << "it was not limited";
}

TEST_P(ConfinementTest, AWorkerHasTheLimitsThatAreConfigured) {
  config_.worker.memory_limit = kMemoryLimit;
  config_.worker.max_open_files = 128;
  config_.worker.seccomp = true;
  const auto engine = test::start_pool(config_);
  ASSERT_NE(engine, nullptr);
  for (int i = 0; i < 2; ++i) {
    const auto limits = engine->execute_anonymous("limits", {});
    ASSERT_TRUE(limits) << limits.error().describe();
    EXPECT_EQ(limits->value["memory"].as_int64(), kMemoryLimit);
    EXPECT_EQ(limits->value["files"].as_int64(), 128);
    EXPECT_EQ(limits->value["seccomp"].as_int64(), 2);
    replace(*engine);
  }
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(engine->execute_in_session("b", "increment", {})->value.as_int64(), i);
  }
}

// One that every program that this one starts would inherit.
TEST_P(ConfinementTest, NoDescriptorOfTheEngineIsInIt) {
  const std::string path = std::filesystem::canonical(DSPOOL_TEST_ADAPTERS) / "confined.py";
  const ipc::FileDescriptor file(::open(path.c_str(), O_RDONLY));  // NOLINT(android-cloexec-open)
  const ipc::FileDescriptor far(::fcntl(file.get(), F_DUPFD, 500));
  ASSERT_TRUE(far.is_open());
  const auto engine = test::start_pool(config_);
  ASSERT_NE(engine, nullptr);
  replace(*engine);
  const auto open = engine->execute_anonymous("open_files", {});
  ASSERT_TRUE(open) << open.error().describe();
  EXPECT_THAT(open->value.to_json(), Not(HasSubstr("confined.py")));
}

TEST_P(ConfinementTest, NoSecretIsInItsEnvironmentOrArgumentsOrInTheLog) {
  ::setenv("CANARY_API_KEY", kCanary, 1);
  ::setenv("CANARY_URL", kCanary, 1);
  const auto engine = test::start_pool(config_);
  ::unsetenv("CANARY_API_KEY");
  ::unsetenv("CANARY_URL");
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->set_lm({.model = "openai/offline", .api_key = kCanary}));
  const auto told = engine->execute_anonymous("language_model", {});
  ASSERT_TRUE(told) << told.error().describe();
  EXPECT_EQ(told->value["api_key"].as_string(), kCanary) << "it has the key";
  const std::string worker = "/proc/" + std::to_string(test::pid_of(*engine, "a"));
  std::vector<std::string> processes{worker};
  if (GetParam() == StartMethod::kForkServer) {
    const auto parent = engine->execute_anonymous("parent", {});
    ASSERT_TRUE(parent);
    processes.push_back("/proc/" + std::to_string(parent->value.as_int64()));
  }
  for (const std::filesystem::path process : processes) {
    EXPECT_THAT(content_of_file(process / "environ"),
                AllOf(HasSubstr("PATH="), Not(HasSubstr(kCanary))));
    EXPECT_THAT(content_of_file(process / "cmdline"), Not(HasSubstr(kCanary)));
  }
  EXPECT_THAT(log_.text(), Not(HasSubstr(kCanary)));
}

TEST_P(ConfinementTest, WhatIsNamedIsInItsEnvironment) {
  ::setenv("CANARY_URL", "http://here", 1);
  config_.worker.pass_environment = {"CANARY_*"};
  config_.worker.environment = {"MODE=careful"};
  const auto engine = test::start_pool(config_);
  ::unsetenv("CANARY_URL");
  ASSERT_NE(engine, nullptr);
  const auto names = engine->execute_anonymous("environment", {});
  ASSERT_TRUE(names);
  EXPECT_THAT(names->value.to_json(), AllOf(HasSubstr("\"CANARY_URL\""), HasSubstr("\"MODE\"")));
}

TEST_P(ConfinementTest, ACommandThatAsksForTooMuchMemoryIsToldSoAndHarmsNobody) {
  config_.worker.memory_limit = kMemoryLimit;
  config_.worker.cgroups = Cgroups::kOff;
  const auto engine = test::start_pool(config_);
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 1);
  const int pid = test::pid_of(*engine, "a");
  const auto refused = engine->execute_in_session("a", "allocate", {{"mib", 512}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().category, ErrorCategory::kResourceError);
  EXPECT_EQ(refused.error().code, "out_of_memory");
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr("256 MiB"), HasSubstr("raise worker.memory_limit")));
  EXPECT_EQ(refused.error().exception_type, "MemoryError");
  EXPECT_EQ(refused.error().state_applied, StateApplied::kNo);
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 2);
  EXPECT_EQ(test::pid_of(*engine, "a"), pid) << "the worker lives on";
}

TEST_P(ConfinementTest, AWorkerThatTheKernelKillsForLackOfMemoryIsToldSo) {
  if (!has_cgroups({.memory = true, .processes = false})) {
    GTEST_SKIP() << "no cgroup that limits memory can be had here";
  }
  config_.pool_size = 2;
  config_.worker.memory_limit = kMemoryLimit;
  config_.worker.cgroups = Cgroups::kRequired;
  const auto engine = test::start_pool(config_);
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 1);
  const auto lost = engine->execute_in_session("b", "share", {{"mib", 512}});
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, "worker_lost");
  EXPECT_THAT(lost.error().message,
              HasSubstr("killed while out of memory at its limit of 256 MiB: raise "
                        "worker.memory_limit"));
  EXPECT_TRUE(log_.wait_for("killed while out of memory at its limit of 256 MiB", kPatience))
      << log_.text();
  EXPECT_EQ(engine->execute_in_session("a", "increment", {}, {.max_retries = 2})->value.as_int64(),
            2);
  EXPECT_EQ(engine->stats().workers_lost, 1U) << "its neighbour is unharmed";
}

TEST_P(ConfinementTest, AForkBombIsBoundedAndEndsWithItsWorker) {
  if (!has_cgroups({.memory = false, .processes = true})) {
    GTEST_SKIP() << "no cgroup that limits processes can be had here";
  }
  config_.worker.max_processes = 20;
  const auto engine = test::start_pool(config_);
  ASSERT_NE(engine, nullptr);
  const auto started = engine->execute_in_session("a", "multiply", {{"most", 100}});
  ASSERT_TRUE(started) << started.error().describe();
  std::vector<ipc::FileDescriptor> processes;
  processes.reserve(started->value.size());
  for (std::size_t i = 0; i < started->value.size(); ++i) {
    processes.push_back(watch_process(static_cast<int>(started->value[i].as_int64())));
  }
  EXPECT_GT(processes.size(), 10U);
  EXPECT_LT(processes.size(), 20U);
  replace(*engine);
  for (const auto& process : processes) EXPECT_TRUE(ends_soon(process));
  EXPECT_TRUE(engine->execute_in_session("a", "increment", {}));
}

TEST_P(ConfinementTest, WhatWentToASessionOfItsOwnEndsWithItsWorkerInACgroup) {
  if (!has_cgroups({})) GTEST_SKIP() << "no cgroup can be had here";
  config_.worker.cgroups = Cgroups::kRequired;
  auto engine = test::start_pool(config_);
  ASSERT_NE(engine, nullptr);
  EXPECT_THAT(log_.text(), HasSubstr("workers have cgroups of their own, in /"));
  const auto leave = [&engine] {
    const auto pid = engine->execute_anonymous("leave_a_session", {});
    return watch_process(pid ? static_cast<int>(pid->value.as_int64()) : 0);
  };
  const auto first = leave();
  ASSERT_TRUE(runs(first));
  replace(*engine);
  EXPECT_TRUE(ends_soon(first));
  const auto second = leave();
  ASSERT_TRUE(runs(second));
  engine.reset();
  EXPECT_TRUE(ends_soon(second)) << "the engine has stopped";
}

TEST_P(ConfinementTest, WithoutACgroupItIsToldThatSuchProcessesMayLiveOn) {
  const auto engine = test::start_pool(config_);
  ASSERT_NE(engine, nullptr);
  EXPECT_THAT(log_.text(), AllOf(HasSubstr("workers have no cgroup"),
                                 HasSubstr("worker.cgroups = \"required\"")));
}

TEST_P(ConfinementTest, AnAdapterThatCannotStartForLackOfMemoryIsToldSo) {
  config_.worker.adapter = "confined:Hungry";
  config_.worker.memory_limit = kMemoryLimit;
  config_.worker.cgroups = Cgroups::kOff;
  const auto engine = Engine::start(config_);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, "adapter_failed");
  EXPECT_THAT(engine.error().message, HasSubstr("raise worker.memory_limit"));
}

}  // namespace
}  // namespace dspool
