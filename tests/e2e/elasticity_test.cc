// A pool that changes while calls run: workers come and go as they are asked to, sessions move, and
// no answer shows anything of it.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"

namespace dspool {
namespace {

using std::chrono::milliseconds;
using test::code_of;
using test::kPatience;
using testing::IsEmpty;

template <typename Condition>
bool wait_until(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + 2 * kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

std::vector<std::string> names_of(Engine& engine) {
  std::vector<std::string> names;
  for (const WorkerHealth& worker : engine.health_check().workers) names.push_back(worker.worker);
  return names;
}

std::string name(int session) { return "session-" + std::to_string(session); }

std::string warm_worker(Engine& engine, const std::string& session) {
  const auto info = engine.get_session(session);
  return info ? info->warm_worker : code_of(info);
}

// Makes `count` sessions with a field.
void make_sessions(Engine& engine, int count) {
  for (int i = 0; i < count; ++i) {
    const auto made = engine.execute_in_session(name(i), "increment", {});
    ASSERT_TRUE(made) << made.error().describe();
  }
}

// Callers that increment sessions of their own until they end, and see each answer in its order.
class Callers {
 public:
  Callers(Engine& engine, int count) {
    threads_.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, &engine, i] {
        for (int round = 1; !done_.load(); ++round) {
          const auto answer =
              engine.execute_in_session("caller-" + std::to_string(i), "increment", {});
          ASSERT_TRUE(answer) << answer.error().describe();
          ASSERT_EQ(answer->value.as_int64(), round);
          ++calls_;
        }
      });
    }
  }
  ~Callers() {
    done_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  Callers(const Callers&) = delete;
  Callers& operator=(const Callers&) = delete;

  // Waits until they have made some more calls.
  void see_some() {
    const int before = calls_.load();
    EXPECT_TRUE(wait_until([&] { return calls_.load() >= before + 20; }));
  }

 private:
  std::atomic<bool> done_{false};
  std::atomic<int> calls_{0};
  std::vector<std::thread> threads_;
};

// What an observer was told.
class Migrations {
 public:
  explicit Migrations(Engine& engine)
      : subscription_(engine.observe_migrations([this](const Migration& migration) {
          const std::lock_guard lock(mutex_);
          all_.push_back(migration);
        })) {}

  [[nodiscard]] std::vector<Migration> all() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }
  bool wait_for(std::size_t count) const {
    return wait_until([&] { return all().size() >= count; });
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Migration> all_;
  Subscription subscription_;
};

TEST(ResizeTest, UpAndDownWhileCallsRun) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  {
    Callers callers(*engine, 4);
    for (const std::uint32_t size : {3U, 1U, 2U}) {
      const auto resized = engine->resize(size, kPatience);
      ASSERT_TRUE(resized) << resized.error().describe();
      const Stats stats = engine->stats();
      EXPECT_EQ(stats.pool_size, size);
      EXPECT_EQ(stats.active_workers, size);
      callers.see_some();
    }
  }
  EXPECT_TRUE(engine->wait_until_ready(kPatience));
  EXPECT_EQ(engine->stats().workers_lost, 0U);
  EXPECT_EQ(engine->stats().worker_restarts, 0U);
  EXPECT_THAT(test::check_history(engine->history(), test::HistoryEnd::kRunning), IsEmpty());
}

TEST(ResizeTest, WarmSessionsMoveToThoseThatStay) {
  const auto engine = test::start_pool(test::pool_config(2));
  ASSERT_NE(engine, nullptr);
  make_sessions(*engine, 40);
  ASSERT_TRUE(engine->resize(1, kPatience));
  const std::uint64_t hydrations = engine->stats().hydrations;
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(warm_worker(*engine, name(i)), "worker-0") << name(i);
    EXPECT_EQ(engine->execute_in_session(name(i), "increment", {})->value.as_int64(), 2);
  }
  EXPECT_EQ(engine->stats().hydrations, hydrations) << "they came with the fields";
}

TEST(ResizeTest, NamesItsBounds) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  for (const std::uint32_t size : {0U, 1025U}) {
    const auto refused = engine->resize(size);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "invalid_pool_size");
    EXPECT_THAT(refused.error().message, testing::HasSubstr("1 to 1024"));
  }
  EXPECT_EQ(engine->stats().pool_size, 1U);
}

TEST(OverflowTest, StartsWhileCallersWait) {
  Config config = test::pool_config(1);
  config.overflow = 1;
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  std::atomic<bool> done{false};
  std::vector<std::thread> callers;
  callers.reserve(3);
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&, i] {
      while (!done.load()) {
        const auto answer =
            engine->execute_in_session(name(i), "sleep_and_increment", {{"ms", 20}});
        EXPECT_TRUE(answer) << answer.error().describe();
      }
    });
  }
  EXPECT_TRUE(wait_until([&] { return engine->stats().overflow_workers == 1; }));
  EXPECT_EQ(engine->stats().active_workers, 1U);
  EXPECT_EQ(engine->health_check().status, HealthStatus::kHealthy);
  done = true;
  for (std::thread& caller : callers) caller.join();
}

TEST(SpareTest, TakesNoWorkUntilItIsNeeded) {
  Config config = test::pool_config(1);
  config.spares = 1;
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(wait_until([&] { return engine->stats().spare_workers == 1; }));
  EXPECT_EQ(engine->stats().active_workers, 1U);
  const int first = test::pid_of(*engine, "a");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(test::pid_of(*engine, name(i)), first);
  static_cast<void>(engine->execute_in_session("a", "exit", {}));
  const auto answer = engine->execute_in_session("a", "pid", {}, {.max_retries = 5});
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_NE(answer->value.as_int64(), first);
}

TEST(DrainTest, TheWorkerFinishesWhatItRunsAndLeaves) {
  const auto engine = test::start_pool(test::pool_config(2));
  ASSERT_NE(engine, nullptr);
  make_sessions(*engine, 20);
  Migrations migrations(*engine);
  std::atomic<bool> sleeps{false};
  std::thread sleeper([&] {
    sleeps = true;
    const auto answer = engine->execute_in_session("s", "sleep_and_increment", {{"ms", 300}});
    EXPECT_TRUE(answer) << answer.error().describe();
  });
  ASSERT_TRUE(wait_until([&] { return engine->stats().attempts_in_flight == 1; }));
  const std::string busy = [&] {
    for (const WorkerHealth& worker : engine->health_check().workers) {
      if (worker.in_flight != 0) return worker.worker;
    }
    return std::string("worker-0");
  }();
  const auto drained = engine->drain_worker(busy, kPatience);
  EXPECT_TRUE(drained) << drained.error().describe();
  sleeper.join();
  EXPECT_EQ(engine->stats().pool_size, 1U);
  ASSERT_TRUE(wait_until([&] { return names_of(*engine).size() == 1; }));
  const std::string other = names_of(*engine).front();
  EXPECT_NE(other, busy);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(warm_worker(*engine, name(i)), other);
  EXPECT_EQ(engine->stats().workers_lost, 0U);
  const auto refused = engine->drain_worker(other);
  EXPECT_EQ(code_of(refused), "last_worker");
  ASSERT_TRUE(migrations.wait_for(engine->stats().migrations));
  for (const Migration& each : migrations.all()) {
    EXPECT_EQ(each.from, busy);
    EXPECT_EQ(each.to, other);
    EXPECT_EQ(each.reason, MigrationReason::kDrain);
  }
  EXPECT_THAT(test::check_history(engine->history(), test::HistoryEnd::kRunning), IsEmpty());
}

TEST(EvacuateTest, AnotherWorkerIsReadyBeforeItLeaves) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  make_sessions(*engine, 10);
  const int first = test::pid_of(*engine, "a");
  {
    Callers callers(*engine, 2);
    const auto evacuated = engine->evacuate_worker("worker-0", kPatience);
    ASSERT_TRUE(evacuated) << evacuated.error().describe();
    callers.see_some();
  }
  EXPECT_EQ(engine->stats().pool_size, 1U);
  EXPECT_NE(test::pid_of(*engine, "a"), first);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(warm_worker(*engine, name(i)), "worker-1");
  EXPECT_THAT(test::check_history(engine->history(), test::HistoryEnd::kRunning), IsEmpty());
}

TEST(MigrateTest, TheNextCallIsWarmThere) {
  const auto engine = test::start_pool(test::pool_config(2));
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->execute_in_session("a", "increment", {}));
  Migrations migrations(*engine);
  const std::string from = warm_worker(*engine, "a");
  const std::string to = from == "worker-0" ? "worker-1" : "worker-0";
  const auto before = engine->get_session("a");
  const auto moved = engine->migrate_session("a", to, kPatience);
  ASSERT_TRUE(moved) << moved.error().describe();
  EXPECT_EQ(warm_worker(*engine, "a"), to);
  const auto after = engine->get_session("a");
  EXPECT_EQ(after->operations, before->operations);
  EXPECT_EQ(after->version, before->version);
  const std::uint64_t hydrations = engine->stats().hydrations;
  const auto answer = engine->execute_in_session("a", "increment", {});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->value.as_int64(), 2);
  EXPECT_EQ(answer->worker, to);
  EXPECT_EQ(engine->stats().hydrations, hydrations);
  ASSERT_TRUE(migrations.wait_for(1));
  const Migration told = migrations.all().front();
  EXPECT_EQ(told.session, "a");
  EXPECT_EQ(told.from, from);
  EXPECT_EQ(told.to, to);
  EXPECT_EQ(told.reason, MigrationReason::kAsked);
  EXPECT_TRUE(engine->migrate_session("a", to, kPatience)) << "it is there";
  EXPECT_EQ(engine->stats().migrations, 1U);
  EXPECT_THAT(test::check_history(engine->history(), test::HistoryEnd::kRunning), IsEmpty());
}

TEST(MigrateTest, WhatCannotBeIsRefusedByName) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(code_of(engine->migrate_session("nobody", "worker-0")), "session_not_found");
  EXPECT_EQ(code_of(engine->migrate_session("", "worker-0")), "invalid_session_id");
  EXPECT_EQ(code_of(engine->migrate_session("nobody", "worker-7")), "unknown_worker");
  EXPECT_EQ(code_of(engine->evacuate_worker("somebody")), "unknown_worker");
  EXPECT_EQ(code_of(engine->drain_worker("worker-0")), "last_worker");
}

TEST(MigrateTest, ABusyWorkerHoldsUpNobody) {
  const auto engine = test::start_pool(test::pool_config(2));
  ASSERT_NE(engine, nullptr);
  std::thread sleeper([&] {
    EXPECT_TRUE(engine->execute_in_session("s", "sleep_and_increment", {{"ms", 1000}}));
  });
  ASSERT_TRUE(wait_until([&] { return engine->stats().attempts_in_flight == 1; }));
  ASSERT_TRUE(engine->execute_in_session("a", "increment", {}));
  const std::string other = warm_worker(*engine, "a") == "worker-0" ? "worker-1" : "worker-0";
  EXPECT_THAT(code_of(engine->migrate_session("a", other, milliseconds(100))),
              testing::AnyOf("worker_busy", "deadline_exceeded"));
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 2);
  sleeper.join();
}

TEST(MigrateTest, AnObserverMayEndItsSubscriptionAndCallTheEngine) {
  const auto engine = test::start_pool(test::pool_config(2));
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->execute_in_session("a", "increment", {}));
  std::atomic<int> told{0};
  Subscription subscription;
  subscription = engine->observe_migrations([&](const Migration& migration) {
    EXPECT_TRUE(engine->execute_in_session(migration.session, "increment", {}));
    subscription = {};
    ++told;
  });
  const std::string from = warm_worker(*engine, "a");
  const std::string to = from == "worker-0" ? "worker-1" : "worker-0";
  ASSERT_TRUE(engine->migrate_session("a", to, kPatience));
  ASSERT_TRUE(wait_until([&] { return told.load() == 1; }));
  ASSERT_TRUE(engine->migrate_session("a", from, kPatience));
  EXPECT_EQ(engine->stats().migrations, 2U);
  EXPECT_EQ(told.load(), 1);
}

TEST(RebalanceTest, EvensOutTheWarmSessions) {
  const auto engine = test::start_pool(test::pool_config(2));
  ASSERT_NE(engine, nullptr);
  make_sessions(*engine, 40);
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(engine->migrate_session(name(i), "worker-1", kPatience));
  }
  const auto moved = engine->rebalance(kPatience);
  ASSERT_TRUE(moved) << moved.error().describe();
  EXPECT_EQ(*moved, 20U);
  for (const WorkerHealth& worker : engine->health_check().workers) {
    EXPECT_EQ(worker.warm_sessions, 20U) << worker.worker;
  }
  EXPECT_EQ(*engine->rebalance(kPatience), 0U);
}

TEST(RebalanceTest, HappensByItselfAfterAResize) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  make_sessions(*engine, 20);
  ASSERT_TRUE(engine->resize(2, kPatience));
  EXPECT_TRUE(wait_until([&] { return engine->stats().migrations >= 10; }));
}

TEST(RecycleTest, ByRequests) {
  Config config = test::pool_config(2);
  config.worker.max_requests = 50;
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  {
    const Callers callers(*engine, 2);
    EXPECT_TRUE(wait_until([&] { return engine->stats().workers_recycled >= 3; }));
  }
  EXPECT_EQ(engine->stats().workers_lost, 0U);
  EXPECT_EQ(engine->stats().worker_restarts, 0U);
  EXPECT_THAT(test::check_history(engine->history(), test::HistoryEnd::kRunning), IsEmpty());
}

TEST(RecycleTest, ByMemory) {
  Config config = test::pool_config(1);
  config.worker.max_memory_bytes = std::size_t{512} << 20;
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  const int first = test::pid_of(*engine, "a");
  ASSERT_TRUE(engine->execute_in_session("a", "swell", {{"mib", 600}}));
  EXPECT_TRUE(wait_until([&] { return engine->stats().workers_recycled == 1; }));
  EXPECT_TRUE(wait_until([&] { return test::pid_of(*engine, "a") != first; }));
}

}  // namespace
}  // namespace dspool
