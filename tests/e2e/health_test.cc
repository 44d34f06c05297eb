// Health agrees with what happened: to workers that die, that cannot start, that are not yet there
// though they say so, and to calls that fail.
#include <gmock/gmock.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/e2e/captured_log.h"
#include "tests/e2e/pool.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

using std::chrono::milliseconds;
using test::kPatience;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::string_view kHonest = R"(
import os
import time
from pathlib import Path

import dspool_worker.worker as worker
from dspool_worker import Adapter, CommandError, Session

HERE = Path(__file__).parent


def await_gate(name):
    """Goes on where there is no such gate, or as soon as it is open."""
    if (HERE / name).exists():
        (HERE / (name + ".reached")).touch()
    while (HERE / name).exists():
        time.sleep(0.01)


class Changing(Adapter):
    def start(self) -> None:
        await_gate("start")
        serve = worker._serve

        def serve_later(*arguments):
            await_gate("serve")
            return serve(*arguments)

        worker._serve = serve_later

    def pid(self, session: Session, /) -> int:
        return os.getpid()

    def parent(self, session: Session, /) -> int:
        return os.getppid()

    def fail(self, session: Session, /) -> None:
        raise ValueError("no")

    def wait_for(self, session: Session, /, path: str) -> None:
        while not os.path.exists(path):
            time.sleep(0.001)
)";
constexpr std::string_view kBroken = R"(
import os

print("the licence has run out", flush=True)
os._exit(9)
)";
constexpr std::string_view kRaising = R"(
raise RuntimeError("the licence has run out")
)";

// What observers were told.
template <typename Event>
class Told {
 public:
  [[nodiscard]] std::function<void(const Event&)> observer() {
    return [this](const Event& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
      changed_.notify_all();
    };
  }
  // false: nothing like it was told within kPatience.
  template <typename Predicate>
  bool wait_for(Predicate&& is_it) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return std::ranges::any_of(events_, is_it); });
  }
  [[nodiscard]] std::vector<Event> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Event> events_;
};

// A pool whose adapter lies in a directory of its own, and can be changed there for workers that
// start from then on.
class HealthTest : public testing::Test {
 protected:
  HealthTest() { write(kHonest); }

  void start(std::uint32_t workers, const std::function<void(Config&)>& change = {}) {
    Config config = test::pool_config(workers, "changing:Changing");
    config.worker.python_path = {directory_.path()};
    config.checkout_timeout = kPatience;
    if (change) change(config);
    engine_ = test::start_pool(config);
    ASSERT_NE(engine_, nullptr);
    ASSERT_EQ(engine_->probe_now(kPatience).status, HealthStatus::kHealthy);  // which is noted
    health_ = engine_->observe_health(changes_.observer());
    alerts_ = engine_->observe_alerts(told_.observer());
  }
  // So that other bytes of the module are not taken for those that Python has compiled.
  void write(std::string_view module) {
    std::filesystem::remove_all(directory_.path() / "__pycache__");
    std::ofstream(directory_.path() / "changing.py") << module;
  }
  [[nodiscard]] std::filesystem::path gate(const char* name) { return directory_.path() / name; }
  void close_gate(const char* name) { std::ofstream(gate(name)) << ""; }
  void open_gate(const char* name) { std::filesystem::remove(gate(name)); }
  void wait_until_reached(const std::string& name) {
    while (!std::filesystem::exists(gate((name + ".reached").c_str()))) std::this_thread::yield();
  }
  void kill_first() {
    const Health health = engine_->health();
    ::kill(health.workers.at(0).pid, SIGKILL);
  }
  Result<Answer> call(std::string_view command) {
    return engine_->execute_in_session("a", command, {}, {.timeout = kPatience, .max_retries = 5});
  }
  bool wait_for_status(HealthStatus status) {
    return changes_.wait_for([=](const HealthChange& change) { return change.to == status; });
  }
  bool wait_for_alert(bool is_raised) {
    return told_.wait_for([=](const Alert& alert) { return alert.is_raised == is_raised; });
  }

  test::TemporaryDirectory directory_;
  test::CapturedLog log_;
  Told<HealthChange> changes_;
  Told<Alert> told_;
  std::unique_ptr<Engine> engine_;
  Subscription health_;
  Subscription alerts_;
};

TEST_F(HealthTest, IsHealthyWhenAllWorkersAnswer) {
  ASSERT_NO_FATAL_FAILURE(start(2));
  const Health health = engine_->probe_now(kPatience);
  EXPECT_EQ(health.status, HealthStatus::kHealthy);
  EXPECT_THAT(health.reasons, IsEmpty());
  EXPECT_FALSE(health.error);
  ASSERT_THAT(health.workers, SizeIs(2));
  for (const WorkerHealth& worker : health.workers) {
    EXPECT_EQ(worker.status, WorkerStatus::kIdle);
    EXPECT_GT(worker.pong_ms, 0) << "it was asked";
  }
  EXPECT_EQ(engine_->health().status, HealthStatus::kHealthy);
}

TEST_F(HealthTest, AProbeStandsBesideTheWork) {
  ASSERT_NO_FATAL_FAILURE(start(1));
  const std::string end = gate("end");
  Result<Answer> answer;
  std::thread caller([&] {
    answer = engine_->execute_in_session("a", "wait_for", {{"path", end}});
  });
  while (engine_->stats().attempts_in_flight == 0) std::this_thread::yield();
  // It does not wait for the worker, which is busy for longer than this would take.
  for (int i = 0; i < 3; ++i) {
    const Health health = engine_->probe_now(kPatience);
    EXPECT_EQ(health.status, HealthStatus::kHealthy);
    EXPECT_EQ(health.workers.at(0).status, WorkerStatus::kBusy);
  }
  std::ofstream(end) << "";
  caller.join();
  EXPECT_EQ(test::code_of(answer), "ok");
}

TEST_F(HealthTest, AWorkerThatStandsStillIsSilent) {
  ASSERT_NO_FATAL_FAILURE(start(2));
  const int pid = engine_->health().workers.at(0).pid;
  ::kill(pid, SIGSTOP);
  const Health health = engine_->probe_now(milliseconds(200));
  ::kill(pid, SIGCONT);
  EXPECT_NE(health.status, HealthStatus::kHealthy);
  EXPECT_THAT(health.reasons, Contains(HasSubstr("worker-0 is silent")));
}

TEST_F(HealthTest, IsDegradedWhileAWorkerIsMissingAndRecovers) {
  ASSERT_NO_FATAL_FAILURE(start(2));
  close_gate("start");
  kill_first();
  ASSERT_TRUE(wait_for_status(HealthStatus::kDegraded));
  const Health health = engine_->health();
  EXPECT_EQ(health.status, HealthStatus::kDegraded);
  EXPECT_THAT(health.reasons, Contains(HasSubstr("worker-0 is ")));
  EXPECT_EQ(test::code_of(call("pid")), "ok");
  open_gate("start");
  ASSERT_TRUE(wait_for_status(HealthStatus::kHealthy));
  EXPECT_EQ(engine_->health().status, HealthStatus::kHealthy);
  EXPECT_EQ(changes_.events().front().to, HealthStatus::kDegraded);
  EXPECT_EQ(changes_.events().back().from, HealthStatus::kDegraded);
}

TEST_F(HealthTest, IsUnhealthyWithoutWorkers) {
  ASSERT_NO_FATAL_FAILURE(start(1));
  close_gate("start");
  kill_first();
  ASSERT_TRUE(wait_for_status(HealthStatus::kUnhealthy));
  open_gate("start");
  ASSERT_TRUE(wait_for_status(HealthStatus::kHealthy));
}

// What a worker says when it has imported the adapter is an intention; its loop must answer.
TEST_F(HealthTest, AWorkerIsReadyWhenItsLoopAnswers) {
  ASSERT_NO_FATAL_FAILURE(start(1));
  close_gate("serve");
  kill_first();
  wait_until_reached("serve");  // it has said that it is ready
  EXPECT_FALSE(engine_->wait_until_ready(milliseconds(200)));
  EXPECT_EQ(engine_->health().workers.at(0).status, WorkerStatus::kStarting);
  open_gate("serve");
  EXPECT_TRUE(engine_->wait_until_ready(kPatience));
  EXPECT_EQ(test::code_of(call("pid")), "ok");
}

struct BrokenStart {
  StartMethod method = StartMethod::kSpawn;
  std::string_view module = {};  // what the adapter becomes
  const char* name = "";
};

void PrintTo(const BrokenStart& start, std::ostream* out) { *out << start.name; }

class BrokenStartTest : public HealthTest, public testing::WithParamInterface<BrokenStart> {
 protected:
  // So that no worker can begin; the fork server, which has imported the honest one, goes first.
  void break_and_kill_all() {
    const auto parent = call("parent");
    ASSERT_TRUE(parent) << parent.error().describe();
    write(GetParam().module);
    if (GetParam().method == StartMethod::kForkServer) {
      ::kill(static_cast<int>(parent->value.as_int64()), SIGKILL);
    }
    for (const WorkerHealth& worker : engine_->health().workers) ::kill(worker.pid, SIGKILL);
  }
};

INSTANTIATE_TEST_SUITE_P(
    , BrokenStartTest,
    testing::Values(BrokenStart{StartMethod::kSpawn, kBroken, "spawned_exits"},
                    BrokenStart{StartMethod::kForkServer, kBroken, "forked_exits"},
                    BrokenStart{StartMethod::kForkServer, kRaising, "forked_raises"}),
    [](const auto& start) { return std::string(start.param.name); });

TEST_P(BrokenStartTest, CallsEndWithTheLastWordsUntilItIsMended) {
  ASSERT_NO_FATAL_FAILURE(start(2, [this](Config& config) {
    log_.capture(config, LogLevel::kError);
    config.worker.start_method = GetParam().method;
    config.worker.max_restarts = 2;
    config.worker.restart_window = std::chrono::minutes(10);
  }));
  ASSERT_NO_FATAL_FAILURE(break_and_kill_all());
  const auto refused = call("pid");
  ASSERT_FALSE(refused);
  const Error& error = refused.error();
  EXPECT_EQ(error.code, "restarts_exhausted");
  EXPECT_EQ(error.category, ErrorCategory::kInitialization);
  EXPECT_THAT(error.message, AllOf(HasSubstr("the licence has run out"), HasSubstr("resize")));
  EXPECT_THAT(error.cause, HasSubstr("the licence has run out"));
  EXPECT_TRUE(error.retry_after);
  EXPECT_EQ(test::code_of(call("pid")), "restarts_exhausted") << "at once, from then on";

  ASSERT_TRUE(wait_for_alert(true));
  EXPECT_EQ(told_.events().back().kind, AlertKind::kRestartsExhausted);
  EXPECT_THAT(told_.events().back().message, HasSubstr("the licence has run out"));
  EXPECT_TRUE(log_.wait_for("alert: restarts_exhausted is raised", kPatience)) << log_.text();
  const Health health = engine_->health();
  EXPECT_EQ(health.status, HealthStatus::kUnhealthy);
  EXPECT_THAT(health.reasons, Contains(HasSubstr("the licence has run out")));
  ASSERT_TRUE(health.error);
  EXPECT_EQ(health.error->code, "restarts_exhausted");

  write(kHonest);
  const auto resized = engine_->resize(2);
  ASSERT_TRUE(resized) << resized.error().describe();
  ASSERT_TRUE(engine_->wait_until_ready(kPatience));
  EXPECT_EQ(test::code_of(call("pid")), "ok");
  ASSERT_TRUE(wait_for_alert(false));
  ASSERT_TRUE(wait_for_status(HealthStatus::kHealthy));
  EXPECT_FALSE(engine_->health().error);
  EXPECT_THAT(told_.events(), SizeIs(2));
}

// One each window, which has no end as long as it fails.
TEST_P(BrokenStartTest, WorkersThatAreMendedAreStartedAgainWithoutAnybody) {
  ASSERT_NO_FATAL_FAILURE(start(1, [](Config& config) {
    config.worker.start_method = GetParam().method;
    config.worker.max_restarts = 1;
    config.worker.restart_window = milliseconds(100);
  }));
  ASSERT_NO_FATAL_FAILURE(break_and_kill_all());
  ASSERT_EQ(test::code_of(call("pid")), "restarts_exhausted");
  write(kHonest);
  ASSERT_TRUE(engine_->wait_until_ready(kPatience));
  EXPECT_EQ(test::code_of(call("pid")), "ok");
}

TEST_F(HealthTest, TooManyErrorsAreToldOnceAndSoIsTheirEnd) {
  ASSERT_NO_FATAL_FAILURE(start(1, [this](Config& config) {
    log_.capture(config, LogLevel::kInfo);
    config.health.error_rate_threshold = 0.5;
    config.health.error_rate_window = std::chrono::minutes(10);
    config.health.error_rate_min_calls = 10;
  }));
  for (int i = 0; i < 20; ++i) ASSERT_EQ(test::code_of(call("fail")), "exception");
  ASSERT_TRUE(wait_for_alert(true));
  EXPECT_EQ(told_.events().back().kind, AlertKind::kErrorRate);
  EXPECT_TRUE(log_.wait_for("alert: error_rate is raised", kPatience)) << log_.text();
  ASSERT_TRUE(wait_for_status(HealthStatus::kDegraded));
  const Health health = engine_->health();
  EXPECT_EQ(health.status, HealthStatus::kDegraded);
  EXPECT_THAT(health.reasons, Contains(HasSubstr("100.0 % of the last")));
  EXPECT_DOUBLE_EQ(health.error_rate, 1);
  for (int i = 0; i < 60; ++i) ASSERT_EQ(test::code_of(call("pid")), "ok");
  ASSERT_TRUE(wait_for_alert(false));
  ASSERT_TRUE(wait_for_status(HealthStatus::kHealthy));
  EXPECT_DOUBLE_EQ(engine_->health().error_rate, 0.25);
  EXPECT_THAT(told_.events(), SizeIs(2));
}

// They say something of their callers, and nothing of the pool.
TEST_F(HealthTest, WhatCallersAskForInVainIsNoError) {
  ASSERT_NO_FATAL_FAILURE(start(1, [](Config& config) {
    config.health.error_rate_min_calls = 10;
    config.health.error_rate_window = std::chrono::minutes(10);
  }));
  ASSERT_EQ(test::code_of(call("pid")), "ok");
  const FieldUpdate update{.puts = {{"key", Value::of(1)}}};
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(test::code_of(engine_->update_fields("a", update, 77)), "version_conflict");
  }
  for (int i = 0; i < 20; ++i) ASSERT_EQ(test::code_of(call("fail")), "exception");
  ASSERT_TRUE(wait_for_alert(true));
  EXPECT_LT(engine_->health().error_rate, 0.75);
}

TEST_F(HealthTest, AlertsGoWhereTheyAreSent) {
  ASSERT_NO_FATAL_FAILURE(start(1, [this](Config& config) {
    log_.capture(config, LogLevel::kInfo);
    config.health.error_rate_min_calls = 5;
    config.health.alert_destinations = {"log"};
  }));
  for (int i = 0; i < 10; ++i) ASSERT_EQ(test::code_of(call("fail")), "exception");
  EXPECT_TRUE(log_.wait_for("alert: error_rate is raised", kPatience)) << log_.text();
  EXPECT_THAT(told_.events(), IsEmpty());
}

}  // namespace
}  // namespace dspool
