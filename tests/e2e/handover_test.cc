// Sessions that need more descriptors than a worker's control socket takes at once. The sockets are
// made small here: with what they have otherwise, that takes some hundred MiB of state.
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"

namespace dspool {
namespace {

using std::chrono::milliseconds;
using testing::IsEmpty;

constexpr int kFields = 24;
constexpr std::size_t kLongBytes = (std::size_t{1} << 20) + 4096;  // a block by itself

// Of all sockets that this process has just now; the least that the kernel grants is room for a
// few messages.
void make_sockets_small() {
  const int least = 1;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int descriptor = std::stoi(entry.path().filename());
    ::setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
  }
}

class HandoverTest : public testing::Test {
 protected:
  void start(const Config& config) {
    engine_ = test::start_pool(config);
    ASSERT_NE(engine_, nullptr);
    make_sockets_small();
    FieldUpdate update;
    for (int i = 0; i < kFields; ++i) {
      update.puts.emplace_back("field-" + std::to_string(i),
                               Value::of(std::string(kLongBytes, 'x')));
    }
    const auto updated = engine_->update_fields("s", update);
    ASSERT_TRUE(updated) << updated.error().describe();
  }

  [[nodiscard]] int pid() { return engine_->health_check().workers.front().pid; }

  std::unique_ptr<Engine> engine_;
};

TEST_F(HandoverTest, ASessionIsServedHoweverManyDescriptorsItNeeds) {
  start(test::pool_config(1));
  const int before = pid();
  const auto answer = engine_->execute_in_session("s", "increment", {});
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->version, 2U);
  EXPECT_EQ(pid(), before);
  EXPECT_THAT(test::check_history(engine_->history()), IsEmpty());
}

TEST_F(HandoverTest, AnIdleWorkerIsToldTheLanguageModelHoweverOftenItIsSet) {
  start(test::pool_config(1));
  const int before = pid();
  for (int i = 0; i <= 100; ++i) {
    ASSERT_TRUE(engine_->set_lm({.model = "openai/model-" + std::to_string(i)}));
  }
  const auto told = engine_->execute_anonymous("language_model", {});
  ASSERT_TRUE(told) << told.error().describe();
  EXPECT_EQ(told->value["model"].as_string(), "openai/model-100");
  EXPECT_EQ(pid(), before);
}

TEST_F(HandoverTest, AWorkerThatTakesNothingIsFoundByTheDeadline) {
  Config config = test::pool_config(1);
  config.worker.cancel_grace = milliseconds(200);
  start(config);
  const int stuck = pid();
  ASSERT_EQ(::kill(stuck, SIGSTOP), 0);
  const auto first =
      engine_->execute_in_session("s", "increment", {}, {.timeout = milliseconds(300)});
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code, "deadline_exceeded");
  EXPECT_EQ(first.error().state_applied, StateApplied::kNo);
  const auto second = engine_->execute_in_session("s", "increment", {});
  ASSERT_TRUE(second) << second.error().describe();
  EXPECT_EQ(second->version, 2U);
  EXPECT_NE(pid(), stuck);
}

}  // namespace
}  // namespace dspool
