// A pool of which all workers but the first are hostile, for a while: whatever they do, the engine
// lives, no session loses, repeats or gets another's state, the honest worker goes on serving, what
// was wrong is told, and nothing is left of a thousand replaced workers.
//
// DSPOOL_SOAK_SECONDS is how long (30), DSPOOL_SEED what the workers do.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dspool/engine.h"
#include "tests/support/held_resources.h"
#include "tests/support/private_memory.h"
#include "tests/support/seed.h"

namespace dspool {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AnyOf;

constexpr seconds kPatience{60};
constexpr std::uint32_t kWorkers = 5;
constexpr std::uint32_t kCallers = 6;
constexpr int kSessionsEach = 4;
// What is shared by all of a process's threads grows a little for reasons of its own.
constexpr std::size_t kSomeKib = 32 * 1024;

seconds soak_time() {
  const char* given = std::getenv("DSPOOL_SOAK_SECONDS");
  return seconds(given != nullptr ? std::stoi(given) : 30);
}

// The engine's log, by what it says.
class Ledger {
 public:
  void write(std::string_view line) {
    constexpr std::string_view kAct = " stdout: act: ";
    constexpr std::string_view kKilled = " is killed: ";
    const std::lock_guard lock(mutex_);
    if (const auto at = line.find(kAct); at != std::string_view::npos) {
      ++acts_[std::string(line.substr(at + kAct.size()))];
    } else if (const auto why = line.find(kKilled); why != std::string_view::npos) {
      ++violations_;
      ++whys_[without_numbers(line.substr(why + kKilled.size()))];
    }
  }

  std::uint64_t violations() const {
    const std::lock_guard lock(mutex_);
    return violations_;
  }

  void print() const {
    const std::lock_guard lock(mutex_);
    for (const auto& [act, times] : acts_) std::printf("%6lu x %s\n", times, act.c_str());
    for (const auto& [why, times] : whys_) std::printf("%6lu x said: %s\n", times, why.c_str());
  }

 private:
  static std::string without_numbers(std::string_view text) {
    std::string result;
    for (const char c : text) {
      const bool digit = c >= '0' && c <= '9';
      if (!digit) result += c;
      if (digit && !result.ends_with('N')) result += 'N';
    }
    return result;
  }

  mutable std::mutex mutex_;
  std::uint64_t violations_ = 0;
  std::map<std::string, std::uint64_t> acts_;
  std::map<std::string, std::uint64_t> whys_;
};

// One thread's sessions. Nobody else calls them, so it knows what each answer must be.
class Caller {
 public:
  Caller(Engine& engine, std::uint32_t number, std::uint64_t seed)
      : engine_(engine), number_(number), random_(seed), counts_(kSessionsEach) {}

  void call_until(std::chrono::steady_clock::time_point end) {
    while (std::chrono::steady_clock::now() < end && !testing::Test::HasFailure()) call();
  }

  std::uint64_t answers() const { return answers_; }
  std::uint64_t honest_answers() const { return honest_answers_; }

 private:
  void call() {
    const std::size_t index = random_() % counts_.size();
    const std::string session = std::to_string(number_) + "." + std::to_string(index);
    const std::size_t ballast = random_() % 4 == 0 ? random_() % 60'000 : 0;
    CallOptions options;
    options.timeout = milliseconds(500);
    options.max_retries = static_cast<std::uint32_t>(random_() % 2 * 3);
    std::uint64_t next_index = 0;
    std::uint32_t last_attempt = 0;
    const bool listens = random_() % 2 == 0;
    if (listens) {
      options.on_chunk = [&](const Chunk& chunk) {
        if (std::exchange(last_attempt, chunk.attempt) != chunk.attempt) next_index = 0;
        EXPECT_EQ(chunk.index, next_index++);
      };
    }
    const auto answer = engine_.execute_in_session(
        session, "count", {{"ballast", std::string(ballast, 'b')}}, options);
    if (answer) {
      ++answers_;
      if (answer->worker == "worker-0") ++honest_answers_;
      EXPECT_EQ(answer->value.as_string(), session + "=" + std::to_string(++counts_[index]));
      return;
    }
    const Error& error = answer.error();
    EXPECT_THAT(error.code, AnyOf("channel_violation", "worker_lost", "worker_stuck",
                                  "deadline_exceeded", "call_quarantined", "session_quarantined"))
        << error.describe();
    EXPECT_EQ(error.state_applied, StateApplied::kNo) << error.describe();
    if (error.code != "deadline_exceeded") {  // nobody promises when a busy machine is on time
      EXPECT_NE(error.worker, "worker-0") << error.describe();
    }
  }

  Engine& engine_;
  std::uint32_t number_;
  std::minstd_rand random_;
  std::vector<int> counts_;
  std::uint64_t answers_ = 0;
  std::uint64_t honest_answers_ = 0;
};

class HostileWorkerTest : public testing::Test {
 protected:
  void SetUp() override {
    Config config;
    config.pool_size = kWorkers;
    config.overflow = 0;
    config.log_level = LogLevel::kInfo;
    config.log_sink = [this](LogLevel, std::string_view line) { ledger_.write(line); };
    config.affinity = Affinity::kOff;        // or all work would soon stay with the honest worker
    config.circuit_breaker.enabled = false;  // it would soon open, and all be refused
    config.worker.adapter = "hostile:seed_" + std::to_string(seed_);
    config.worker.python = DSPOOL_HOSTILE_WORKER;
    config.worker.pass_environment = {"ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"};
    config.worker.ring_bytes = WorkerConfig::kLeastRingBytes;
    config.worker.slab_bytes = WorkerConfig::kLeastRingBytes;
    config.worker.cancel_grace = milliseconds(200);
    engine_ = Engine::start(config).value();
    ASSERT_TRUE(engine_->wait_until_ready(kPatience));
    for (std::uint32_t i = 0; i < kCallers; ++i) callers_.emplace_back(*engine_, i, seed_ + i);
  }

  void call_for(seconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    std::vector<std::thread> threads;
    threads.reserve(callers_.size());
    for (Caller& caller : callers_) threads.emplace_back([&, end] { caller.call_until(end); });
    for (std::thread& thread : threads) thread.join();
  }

  // Of workers that are ready; 0: it is not.
  std::vector<std::uint64_t> epochs() {
    std::vector<std::uint64_t> epochs;
    epochs.reserve(kWorkers);
    for (const WorkerHealth& worker : engine_->health_check(milliseconds(100)).workers) {
      epochs.push_back(worker.epoch);
    }
    return epochs;
  }

  // Descriptors and mappings while every worker is there and none is being replaced.
  test::HeldResources held_when_quiet() {
    while (true) {
      EXPECT_TRUE(engine_->wait_until_ready(kPatience));
      const auto before = epochs();
      const test::HeldResources held = test::held_resources();
      if (before == epochs() && std::ranges::count(before, 0U) == 0) return held;
    }
  }

  const std::uint64_t seed_ = test::test_seed();
  Ledger ledger_;
  std::unique_ptr<Engine> engine_;
  std::vector<Caller> callers_;
};

TEST_F(HostileWorkerTest, HarmsNobodyButItself) {
  const std::uint64_t honest = epochs().front();
  call_for(seconds(2));  // what libraries allocate once is allocated
  const test::HeldResources before = held_when_quiet();
  EXPECT_EQ(before.mappings, 2 * kWorkers + 2)
      << "of each worker, the pool's slab, and an extent of the sessions' state";
  const std::size_t kib_before = test::private_kib();

  call_for(soak_time());

  std::uint64_t answers = 0;
  std::uint64_t honest_answers = 0;
  for (const Caller& caller : callers_) {
    answers += caller.answers();
    honest_answers += caller.honest_answers();
  }
  const Stats stats = engine_->stats();
  EXPECT_EQ(epochs().front(), honest) << "the honest worker was replaced";
  EXPECT_GT(honest_answers, 0U);
  EXPECT_GT(stats.violations, 0U);
  EXPECT_EQ(held_when_quiet(), before) << "after " << stats.worker_restarts << " workers";
  const std::size_t kib_after = test::private_kib();
  EXPECT_TRUE(test::kAllocatorKeepsMemory || kib_after <= kib_before + kSomeKib)
      << kib_before << " KiB have become " << kib_after;
  engine_.reset();
  EXPECT_GE(ledger_.violations(), stats.violations) << "each is logged";
  ledger_.print();
  std::printf("%lu KiB before, %lu KiB after\n", kib_before, kib_after);
  std::printf("%lu answers, %lu of them honest; %lu errors; %lu workers replaced; %lu violations\n",
              answers, honest_answers, stats.total_errors, stats.worker_restarts, stats.violations);
}

}  // namespace
}  // namespace dspool
