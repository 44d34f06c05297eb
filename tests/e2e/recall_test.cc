// Calls that lie in the ring of a worker whose command runs for long are taken back from it. Real
// workers; the command runs until the test lets it end. Whether calls come to lie there depends on
// how short the others are, which on a machine with other work to do nobody can promise: so it is
// tried again until they did.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

using testing::IsEmpty;

constexpr int kRecallRounds = 30;
constexpr int kShortCalls = 200;
constexpr std::size_t kBlockBytes = (std::size_t{1} << 20) + 4096;  // a block by itself

class RecallTest : public testing::Test {
 protected:
  using Ending = std::future<Result<Answer>>;

  void start(std::uint32_t workers) {
    engine_ = test::start_pool(test::pool_config(workers));
    ASSERT_NE(engine_, nullptr);
  }
  void TearDown() override {
    if (engine_ == nullptr) return;
    EXPECT_EQ(engine_->stats().violations, 0U);
    EXPECT_EQ(engine_->stats().workers_lost, 0U);
    EXPECT_THAT(test::check_history(engine_->history()), IsEmpty());
  }

  Ending submit(const std::string& session, const std::string& command, Value args) {
    const auto promise = std::make_shared<std::promise<Result<Answer>>>();
    engine_->submit(session, command, std::move(args),
                    [promise](Result<Answer> result) { promise->set_value(std::move(result)); },
                    {.timeout = 4 * test::kPatience});
    return promise->get_future();
  }

  // After which the engine knows that commands are short.
  void call_shortly(const std::string& session) {
    for (int i = 0; i < kShortCalls; ++i) {
      const auto answer = engine_->execute_in_session(session, "increment", {{"by", 0}});
      ASSERT_TRUE(answer) << answer.error().describe();
    }
  }

  // Returns when the command has begun.
  Ending begin_slow(const std::string& session) {
    const std::string begun = file("begun");
    Ending ending = submit(session, "wait_for", {{"begun", begun}, {"end", file("end")}});
    const auto has_ended = [&ending] {
      return ending.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    };
    while (!std::filesystem::exists(begun) && !has_ended()) std::this_thread::yield();
    return ending;
  }
  void let_slow_end() { std::ofstream(file("end")).close(); }
  void forget_files() {
    std::filesystem::remove(file("begun"));
    std::filesystem::remove(file("end"));
  }

  bool is_leaving(const std::string& worker) {
    const auto workers = engine_->health_check(std::chrono::milliseconds(0)).workers;
    return std::ranges::any_of(workers, [&](const WorkerHealth& each) {
      return each.worker == worker && each.status == WorkerStatus::kDraining;
    });
  }

  std::int64_t value_of(const std::string& session) {
    const auto answer = engine_->execute_in_session(session, "increment", {{"by", 0}});
    return answer ? answer->value.as_int64() : -1;
  }

  [[nodiscard]] std::string file(const char* name) const { return directory_.path() / name; }

  std::unique_ptr<Engine> engine_;
  test::TemporaryDirectory directory_;
};

TEST_F(RecallTest, CallsBehindASlowOneEndOnAnotherWorkerWhileItRuns) {
  start(2);
  int round = 0;
  for (; round < kRecallRounds && engine_->stats().recalls == 0; ++round) {
    // Sessions that are warm on one worker, where their calls go although it is at work.
    std::map<std::string, std::vector<std::string>> warm;
    for (int i = 0; i < 16; ++i) {
      const std::string session = "s" + std::to_string(round) + "-" + std::to_string(i);
      const auto answer = engine_->execute_in_session(session, "increment", {});
      ASSERT_TRUE(answer) << answer.error().describe();
      warm[std::string(answer->worker)].push_back(session);
    }
    const auto& [worker, sessions] =
        *std::ranges::max_element(warm, {}, [](const auto& entry) { return entry.second.size(); });
    call_shortly(sessions.front());
    Ending slow = begin_slow(sessions.front());
    std::vector<Ending> others;
    others.reserve(sessions.size());
    for (std::size_t i = 1; i < sessions.size(); ++i) {
      others.push_back(submit(sessions[i], "increment", {}));
    }
    for (Ending& other : others) {
      const auto answer = other.get();
      ASSERT_TRUE(answer) << answer.error().describe();
      EXPECT_EQ(answer->value.as_int64(), 2);
      EXPECT_EQ(answer->attempts, 1U);
      EXPECT_NE(answer->worker, worker);
    }
    EXPECT_NE(slow.wait_for(std::chrono::seconds(0)), std::future_status::ready);
    // What was taken back still lies in the worker's ring when it is to leave.
    const std::string& slowest = worker;
    auto left = std::async(std::launch::async,
                           [this, slowest] { return engine_->evacuate_worker(slowest); });
    while (!is_leaving(slowest)) std::this_thread::yield();
    let_slow_end();
    EXPECT_TRUE(slow.get());
    EXPECT_TRUE(left.get());
    for (const std::string& session : sessions) EXPECT_EQ(value_of(session), 2);
    forget_files();
  }
  EXPECT_GT(engine_->stats().recalls, 0U)
      << "no call lay behind a slow one in " << round << " rounds";
}

// With what came along for them in descriptors, to the worker that they were taken back from.
TEST_F(RecallTest, LongValuesAreSentAgain) {
  start(1);
  for (int round = 0; round < kRecallRounds && engine_->stats().recalls == 0; ++round) {
    call_shortly("short");
    const auto name = [round](int i) {
      return "s" + std::to_string(round) + "-" + std::to_string(i);
    };
    constexpr int kSessions = 4;
    for (int i = 0; i < kSessions; ++i) {
      FieldUpdate update;
      update.puts.emplace_back("value", Value::of(10 + i));
      update.puts.emplace_back("blob", Value::of(std::string(kBlockBytes, 'x')));
      ASSERT_TRUE(engine_->update_fields(name(i), update));
    }
    Ending slow = begin_slow("short");
    std::vector<Ending> others;
    others.reserve(kSessions);
    for (int i = 0; i < kSessions; ++i) others.push_back(submit(name(i), "increment", {}));
    // Lie there, or wait until they can.
    const auto all_are_waiting = [this] { return engine_->stats().waiting_calls == kSessions; };
    while (!all_are_waiting()) std::this_thread::yield();
    let_slow_end();
    EXPECT_TRUE(slow.get());
    for (int i = 0; i < kSessions; ++i) {
      const auto answer = others.at(static_cast<std::size_t>(i)).get();
      ASSERT_TRUE(answer) << answer.error().describe();
      EXPECT_EQ(answer->value.as_int64(), 11 + i);
    }
    forget_files();
  }
  EXPECT_GT(engine_->stats().recalls, 0U);
  EXPECT_EQ(engine_->stats().worker_restarts, 0U);
}

}  // namespace
}  // namespace dspool
