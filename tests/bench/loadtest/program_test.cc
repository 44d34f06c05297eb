// The program dspool as a person or a script runs it: what it says where, and its exit status. Each
// test is a script for bash, in a folder of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace dspool::loadtest {
namespace {

using testing::ContainsRegex;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

struct Ran {
  int status = -1;
  std::string out = {};
  std::string err = {};
};

class ProgramTest : public testing::Test {
 public:
  ~ProgramTest() override { std::filesystem::remove_all(folder_); }
  ProgramTest(const ProgramTest&) = delete;
  ProgramTest& operator=(const ProgramTest&) = delete;

 protected:
  ProgramTest() {
    std::filesystem::create_directory(folder_);
    const char* const path = std::getenv("PYTHONPATH");
    setenv("PYTHONPATH", (std::string(DSPOOL_TEST_ADAPTERS ":") + (path ? path : "")).c_str(), 1);
  }
  // Runs `script`, in which `dspool` is the program.
  Ran run(std::string_view script) {
    write("script", std::string("cd ")
                        .append(folder_)
                        .append("\ndspool() { exec " DSPOOL_PROGRAM " \"$@\"; }\n")
                        .append(script));
    const std::string command =
        "bash " + folder_ + "/script >" + folder_ + "/out 2>" + folder_ + "/err";
    const int status = std::system(command.c_str());  // NOLINT(cert-env33-c)
    return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
            .out = read("out"),
            .err = read("err")};
  }

  void write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ + "/" + name) << text;
  }

 private:
  std::string read(const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(folder_ + "/" + name).rdbuf();
    return text.str();
  }

  const std::string folder_ = testing::TempDir() + "dspool_program." + std::to_string(getpid());
};

TEST_F(ProgramTest, PutsOneJsonObjectOnStandardOutputAndNothingElse) {
  const Ran ran = run("dspool loadtest --workers 1 --sessions 2 --ops 3 --max-retries 1 --json");
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, StartsWith("{"));
  EXPECT_THAT(ran.out, HasSubstr("\"successes\":6,\"total_operations\":6"));
  EXPECT_THAT(ran.out, EndsWith("}\n"));
  EXPECT_THAT(ran.err, IsEmpty());
}

TEST_F(ProgramTest, SaysNothingMoreWhereItHasOneCore) {
  const Ran ran = run(R"(
    allowed=$(taskset -cp $$)
    allowed=${allowed##*: }
    taskset -cp ${allowed%%[,-]*} $$ >pinned
    dspool loadtest --workers 1 --sessions 2 --ops 3 --max-retries 1 --json)");
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("\"successes\":6,\"total_operations\":6"));
  EXPECT_THAT(ran.err, IsEmpty());
}

TEST_F(ProgramTest, ProvesAPoolThatChangesAndWhoseWorkersDie) {
  const Ran ran =
      run("dspool loadtest --workers 2 --sessions 50 --duration 4 --churn 0.2 --kill-every 0.5 "
          "--max-retries 20 --json 2>/dev/null");
  EXPECT_EQ(ran.status, 0) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("\"lost\":0"));
  EXPECT_THAT(ran.out, HasSubstr("\"duplicated\":0"));
  EXPECT_THAT(ran.out, Not(HasSubstr("\"changes\":null")));
  EXPECT_THAT(ran.out, Not(HasSubstr("\"kills\":0")));
}

TEST_F(ProgramTest, RefusesWhatIsMoreThanThePoolCanDoAndProvesTheRest) {
  const Ran ran =
      run("dspool loadtest --workers 1 --max-in-flight 4 --service-ms 20 --overload 3 "
          "--sessions 200 --duration 3 --json");
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("\"resource_error\":"));
  EXPECT_THAT(ran.out, HasSubstr("\"capacity_per_second\":200"));
  EXPECT_THAT(ran.out, HasSubstr("\"lost\":0"));
}

// On a machine that is busy with other things meanwhile, it may take them longer.
TEST_F(ProgramTest, RecoversAfterHalfOfTheWorkersDied) {
  const auto recovered = ContainsRegex("\"recovery_ms\":[0-9]");  // null: it has not
  Ran ran;
  for (const char* const seconds : {"6", "12", "24"}) {
    ran =
        run(std::string("dspool loadtest --command sleep --workers 2 --kill-half-at 1.5 --json ") +
            "--duration " + seconds);
    ASSERT_EQ(ran.status, 0) << ran.err;
    EXPECT_THAT(ran.out, Not(HasSubstr("\"killed_at_once\":0")));
    if (testing::Matches(recovered)(ran.out)) break;
  }
  EXPECT_THAT(ran.out, recovered);
}

TEST_F(ProgramTest, SaysSoWhereNothingWentWrongThatShould) {
  const Ran ran = run("dspool loadtest --workers 1 --sessions 2 --ops 1 --kill-every 60 --json");
  EXPECT_EQ(ran.status, 4);
  EXPECT_THAT(ran.err, HasSubstr("no worker was killed"));
}

TEST_F(ProgramTest, SaysSoWhereTheProofIsIncomplete) {
  const Ran ran =
      run("dspool loadtest --adapter half_adapters:NoRead --command increment --workers 1 "
          "--sessions 2 --ops 3 --json");
  EXPECT_EQ(ran.status, 4);
  EXPECT_THAT(ran.out, HasSubstr("\"lost\":0"));
  EXPECT_THAT(ran.err, HasSubstr("warning: 2 of 2 sessions did not answer 'read'"));
}

TEST_F(ProgramTest, TakesTheAdapterOfItsConfiguration) {
  write("pool.toml", "[worker]\nadapter = \"half_adapters:NoRead\"\n");
  const Ran ran = run("dspool loadtest --config pool.toml");
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.err, HasSubstr("--adapter half_adapters:NoRead needs --command"));
}

TEST_F(ProgramTest, EndsAtOnceWherePoolingIsSwitchedOff) {
  write("pool.toml", "pooling_enabled = false\n");
  const Ran ran = run("dspool loadtest --config pool.toml --json");
  EXPECT_EQ(ran.status, 3);
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_THAT(ran.err, HasSubstr("set pooling_enabled = true"));
}

// One of two workers never becomes ready, and the program is ready to wait for an hour.
TEST_F(ProgramTest, DoesNotWaitForWorkersAfterASigterm) {
  write("pool.toml", "[worker]\nstart_timeout = 3600000\n");
  const Ran ran = run(R"(
    export DSPOOL_TEST_FIFO=$PWD/second_hangs
    mkfifo $DSPOOL_TEST_FIFO
    dspool loadtest --config pool.toml --adapter half_adapters:OnlyOneStarts --command increment \
      --workers 2 &
    : <$DSPOOL_TEST_FIFO
    kill -TERM $!
    wait $!)");
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, StartsWith("Stopped before its end."));
}

TEST_F(ProgramTest, SimulatesAPoolWithoutAny) {
  const Ran ran = run("dspool simulate --zipf 0.6 --duration 20 --policy central,dspool --json");
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("\"policy\":\"central\""));
  EXPECT_THAT(ran.out, HasSubstr("}\n{"));
  EXPECT_THAT(ran.out, HasSubstr("\"policy\":\"dspool\""));
  EXPECT_THAT(ran.err, IsEmpty());
}

TEST_F(ProgramTest, SaysWhatIsWrongWithASimulation) {
  Ran ran = run("dspool simulate --load 80");
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_THAT(ran.err, HasSubstr("--load must be between"));
  ran = run("dspool simulate --policy random");
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.err, HasSubstr("steal_at_once"));
}

class ShortDemoTest : public ProgramTest, public testing::WithParamInterface<int> {};

TEST_P(ShortDemoTest, KillsAWorkerHalfway) {
  const Ran ran = run("dspool demo --adapter loadtest --sessions " + std::to_string(GetParam()));
  EXPECT_EQ(ran.status, 0) << ran.out << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("with SIGKILL, halfway"));
  EXPECT_THAT(ran.out, Not(HasSubstr("Not shown")));
}

INSTANTIATE_TEST_SUITE_P(Sessions, ShortDemoTest, testing::Values(1, 2, 5),
                         testing::PrintToStringParamName());

TEST_F(ProgramTest, SaysWhatADemonstrationDidNotShow) {
  const Ran ran = run(R"(
    mkfifo story
    dspool demo --adapter loadtest >story &
    exec 3<story
    read -r line <&3
    kill -TERM $!
    cat <&3
    wait $!)");
  EXPECT_EQ(ran.status, 1) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("Not shown: it was stopped after 0 of 400 operations; "
                                 "no worker was killed"));
}

}  // namespace
}  // namespace dspool::loadtest
