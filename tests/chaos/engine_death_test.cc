// An engine is killed again and again while sessions commit to its durable store: at each step of
// a commit, and anywhere. Whatever was told as committed is there afterwards, once, and versions
// have no gap.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "dspool/store.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

constexpr int kSessions = 6;

class EngineDeathTest : public testing::Test {
 protected:
  EngineDeathTest() {
    for (int i = 0; i < kSessions; ++i) told_["session-" + std::to_string(i)] = 0;
  }

  // Lets an engine run until it kills itself at `point`, for the `pass`-th time, or until it has
  // told of `lines` commits and is killed. false: it ran to its end.
  bool run(const std::string& point, int pass, int lines) {
    int input[2];
    int output[2];
    EXPECT_EQ(::pipe2(input, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(output, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    std::string program = DSPOOL_MORTAL_ENGINE;
    std::string store = (directory_.path() / "store").string();
    std::string number = std::to_string(++runs_);
    char* const arguments[] = {program.data(), store.data(), number.data(), nullptr};
    std::string kill_at = "DSPOOL_KILL_AT=" + point + ":" + std::to_string(pass);
    std::vector<char*> environment;
    for (char** variable = environ; *variable != nullptr; ++variable) {
      environment.push_back(*variable);
    }
    if (!point.empty()) environment.push_back(kill_at.data());
    environment.push_back(nullptr);
    pid_t pid = 0;
    EXPECT_EQ(
        ::posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments, environment.data()), 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(input[0]);
    ::close(output[1]);
    std::ostringstream expected;
    for (const auto& [session, n] : told_) expected << session << ' ' << n << '\n';
    const std::string text = expected.str();
    EXPECT_EQ(::write(input[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(input[1]);
    read_what_is_told(output[0], pid, lines);
    ::close(output[0]);
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << "run " << runs_;
    return WIFSIGNALED(status);
  }

  void check_store() {
    const auto store = StoreAtRest::open(directory_.path() / "store");
    ASSERT_TRUE(store) << store.error().describe();
    const StoreReport report = (*store)->check({});
    EXPECT_EQ(report.sessions, kSessions);
    EXPECT_TRUE(report.damaged.empty());
    EXPECT_TRUE(report.complete);
  }

  [[nodiscard]] long told_in_all() const {
    long all = 0;
    for (const auto& [session, n] : told_) all += n;
    return all;
  }

 private:
  void read_what_is_told(int descriptor, pid_t pid, int lines) {
    std::string buffer;
    char block[4096];
    ssize_t got = 0;
    while ((got = ::read(descriptor, block, sizeof block)) > 0) {
      buffer.append(block, static_cast<std::size_t>(got));
      std::size_t end = 0;
      while ((end = buffer.find('\n')) != std::string::npos) {
        take(buffer.substr(0, end));
        buffer.erase(0, end + 1);
        if (lines > 0 && --lines == 0) ::kill(pid, SIGKILL);
      }
    }
  }

  void take(const std::string& line) {
    std::istringstream words(line);
    std::string kind;
    std::string session;
    long first = 0;
    long second = 0;
    words >> kind >> session >> first >> second;
    if (kind == "state") {
      EXPECT_EQ(first, second) << session << ": a commit was applied twice, or not as a whole";
      EXPECT_GE(first, told_[session]) << session << ": a commit that was told is lost";
      EXPECT_LE(first, told_[session] + 1) << session << ": more was committed than was asked";
    } else if (kind == "told") {
      EXPECT_EQ(first, told_[session] + 1);
      EXPECT_EQ(second, first) << session << ": step " << first << " was not done exactly once";
      told_[session] = first;
    }
  }

  const test::TemporaryDirectory directory_;
  std::map<std::string, long> told_;
  int runs_ = 0;
};

TEST_F(EngineDeathTest, AtEachStepOfACommitLosesNothing) {
  std::mt19937 random(static_cast<std::mt19937::result_type>(test::test_seed()));
  int deaths = 0;
  for (const char* point :
       {"commit.started", "commit.encoded", "commit.written", "commit.applied"}) {
    for (int i = 0; i < 25; ++i) deaths += run(point, 1 + static_cast<int>(random() % 60), 0);
  }
  EXPECT_EQ(deaths, 100);
  EXPECT_GT(told_in_all(), 100);
  EXPECT_FALSE(run("", 0, 0)) << "the next one runs to its end";
  check_store();
}

TEST_F(EngineDeathTest, AnywhereLosesNothing) {
  std::mt19937 random(static_cast<std::mt19937::result_type>(test::test_seed()));
  int deaths = 0;
  for (int i = 0; i < 100; ++i) deaths += run("", 0, 1 + static_cast<int>(random() % 200));
  EXPECT_GT(deaths, 90);
  EXPECT_FALSE(run("", 0, 0)) << "the next one runs to its end";
  check_store();
}

}  // namespace
}  // namespace dspool
