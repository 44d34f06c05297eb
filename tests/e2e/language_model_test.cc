#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <set>
#include <thread>
#include <vector>

#include "tests/e2e/pool.h"

namespace dspool {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

constexpr const char* kKey = "sk-offline-9f8e7d6c5b4a";

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(LanguageModelTest, ReachesEveryWorkerAndThoseStartedLater) {
  const auto engine = test::start_pool(test::pool_config(2));
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->set_lm({.model = "openai/offline", .api_key = kKey, .temperature = 0.5}));
  for (int i = 0; i < 8; ++i) {
    const auto told = engine->execute_anonymous("language_model", {});
    ASSERT_TRUE(told) << told.error().describe();
    EXPECT_EQ(told->value["model"].as_string(), "openai/offline");
    EXPECT_EQ(told->value["api_key"].as_string(), kKey);
    EXPECT_EQ(told->value["temperature"].as_double(), 0.5);
  }
  for (const WorkerHealth& worker : engine->health_check().workers) {
    if (worker.pid > 0) ::kill(worker.pid, SIGKILL);  // 0: it has none just now
  }
  while (engine->stats().worker_restarts < 2) std::this_thread::yield();
  const auto told = engine->execute_anonymous("language_model", {}, {.max_retries = 3});
  ASSERT_TRUE(told) << told.error().describe();
  EXPECT_EQ(told->value["model"].as_string(), "openai/offline");
}

TEST(LanguageModelTest, IsInEffectForEveryCallAfterItWasSet) {
  const auto engine = test::start_pool(test::pool_config(2));
  ASSERT_NE(engine, nullptr);
  for (int i = 0; i < 50; ++i) {
    const std::string name = "openai/model-" + std::to_string(i);
    ASSERT_TRUE(engine->execute_anonymous("set_lm", {{"model", name}, {"api_key", kKey}}));
    EXPECT_EQ(engine->execute_anonymous("language_model", {})->value["model"].as_string(), name);
  }
}

TEST(LanguageModelTest, IsTheSameInAllWorkersHoweverManySetIt) {
  const auto engine = test::start_pool(test::pool_config(2));
  ASSERT_NE(engine, nullptr);
  {
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 25; ++i) {
          EXPECT_TRUE(engine->set_lm({.model = "openai/" + std::to_string(thread * 100 + i)}));
        }
      });
    }
  }
  std::set<std::string> seen;
  for (int i = 0; i < 20; ++i) {
    const auto told = engine->execute_anonymous("language_model", {});
    ASSERT_TRUE(told) << told.error().describe();
    seen.emplace(told->value["model"].as_string());
  }
  EXPECT_THAT(seen, SizeIs(1));
}

// More of them than an idle worker's socket holds: it is told the last one, by who needs it.
TEST(LanguageModelTest, ThatNobodyHasNeededIsNotTold) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  for (int i = 0; i < 2'000; ++i) {
    ASSERT_TRUE(engine->set_lm({.model = "openai/" + std::to_string(i)}));
  }
  const auto told = engine->execute_anonymous("language_model", {}, {.max_retries = 3});
  ASSERT_TRUE(told) << told.error().describe();
  EXPECT_EQ(told->value["model"].as_string(), "openai/1999");
  EXPECT_EQ(engine->stats().worker_restarts, 0U);
}

TEST(LanguageModelTest, IsSetByASubmittedCommandToo) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  std::promise<Result<Answer>> set;
  engine->submit({}, "set_lm", {{"model", "openai/offline"}, {"api_key", kKey}},
                 [&](Result<Answer> answer) { set.set_value(std::move(answer)); });
  const auto answer = set.get_future().get();
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(engine->execute_anonymous("language_model", {})->value["api_key"].as_string(), kKey);
}

TEST(LanguageModelTest, ThatMakesNoSenseIsRefused) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  const auto refusal = [&](const Value& args) {
    const auto set = engine->execute_anonymous("set_lm", args);
    return set ? std::string("it was not") : set.error().code + ": " + set.error().message;
  };
  EXPECT_THAT(refusal({}), HasSubstr("invalid_language_model"));
  EXPECT_THAT(refusal({{"model", ""}}), HasSubstr("must have a name"));
  EXPECT_THAT(refusal({{"model", "m"}, {"temprature", 0.5}}), HasSubstr("'temprature'"));
  EXPECT_THAT(refusal({{"model", "m"}, {"temperature", "0.5"}}), HasSubstr("must be a number"));
  EXPECT_THAT(refusal({{"model", "m"}, {"api_key", 5}}), HasSubstr("must be a string"));
  EXPECT_THAT(refusal({{"model", "m"}, {"provider", 5}}), HasSubstr("must be a string"));
  EXPECT_THAT(refusal({{"model", "m"}}), HasSubstr("write provider/m, where the provider is one"));
  EXPECT_THAT(refusal({{"model", std::string(10'000, 'm')}}), HasSubstr("at most"));
  EXPECT_TRUE(
      engine->execute_anonymous("set_lm", {{"model", "openai/m"}, {"temperature", nullptr}}));
}

TEST(LanguageModelTest, ItsKeyIsNotInTheWorkersEnvironmentOrCommandLine) {
  ::setenv("OFFLINE_API_KEY", kKey, 1);
  const auto engine = test::start_pool(test::pool_config(1));
  ::unsetenv("OFFLINE_API_KEY");
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->set_lm({.model = "openai/offline", .api_key = kKey}));
  ASSERT_TRUE(engine->execute_anonymous("language_model", {}));
  const std::filesystem::path proc =
      "/proc/" + std::to_string(engine->health_check().workers.at(0).pid);
  EXPECT_THAT(content_of(proc / "environ"), Not(HasSubstr(kKey)));
  EXPECT_THAT(content_of(proc / "cmdline"), Not(HasSubstr(kKey)));
}

TEST(LanguageModelTest, AModelWithoutANameIsRefused) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  const auto set = engine->set_lm({});
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, "invalid_language_model");
}

}  // namespace
}  // namespace dspool
