// What a configuration says to the adapter: it is there when that is constructed, whichever way
// workers begin, and nowhere else.
#include <gmock/gmock.h>

#include <csignal>
#include <string>
#include <thread>

#include "tests/e2e/pool.h"

namespace dspool {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class SettingsTest : public testing::TestWithParam<StartMethod> {
 protected:
  static Config config(const std::string& adapter, Value settings) {
    Config all = test::pool_config(1, adapter);
    all.worker.start_method = GetParam();
    all.worker.settings = std::move(settings);
    return all;
  }
};

INSTANTIATE_TEST_SUITE_P(All, SettingsTest,
                         testing::Values(StartMethod::kSpawn, StartMethod::kForkServer),
                         [](const auto& method) {
                           return method.param == StartMethod::kSpawn ? "Spawn" : "ForkServer";
                         });

std::string settings_of(Engine& engine) {
  const auto told = engine.execute_anonymous("settings", {}, {.max_retries = 5});
  return told ? told->value.to_json() : told.error().describe();
}

TEST_P(SettingsTest, ReachTheAdapterOfEveryWorker) {
  const std::string long_text(900'000, 'x');
  const Value settings{
      {"programs", {{"qa", "my_app:QA"}}}, {"sizes", Value::list({1, 2.5})}, {"text", long_text}};
  const auto engine = test::start_pool(config("configured:Configured", settings));
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(settings_of(*engine), settings.to_json());
  EXPECT_EQ(engine->execute_anonymous("constructed_here", {})->value.as_bool(),
            GetParam() == StartMethod::kSpawn);
  ::kill(engine->health().workers.at(0).pid, SIGKILL);
  while (engine->stats().worker_restarts == 0) std::this_thread::yield();
  EXPECT_EQ(settings_of(*engine), settings.to_json());
}

TEST_P(SettingsTest, AreEmptyWhereThereAreNone) {
  const auto engine = test::start_pool(config("configured:Configured", {}));
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(settings_of(*engine), "{}");
}

TEST_P(SettingsTest, AreOnNoCommandLineAndInNoEnvironment) {
  const auto engine =
      test::start_pool(config("configured:Configured", {{"password", "sesame-9f8e7d6c"}}));
  ASSERT_NE(engine, nullptr);
  const auto found = engine->execute_anonymous("look_for", {{"text", "sesame-9f8e7d6c"}});
  ASSERT_TRUE(found) << found.error().describe();
  EXPECT_EQ(found->value.to_json(), "[]");
}

TEST_P(SettingsTest, AreInProcessesThatNobodyElseReads) {
  const auto engine = test::start_pool(config("configured:Configured", {{"password", "sesame"}}));
  ASSERT_NE(engine, nullptr);
  const auto was_dumpable = engine->execute_anonymous("was_dumpable", {});
  ASSERT_TRUE(was_dumpable) << was_dumpable.error().describe();
  EXPECT_FALSE(was_dumpable->value.as_bool());
}

TEST_P(SettingsTest, AreNotLeftOpenInWorkers) {
  const auto without = test::start_pool(config("configured:Configured", {}));
  const auto with = test::start_pool(config("configured:Configured", {{"a", 1}}));
  ASSERT_TRUE(without && with);
  const auto count = [](Engine& engine) {
    return engine.execute_anonymous("descriptors", {})->value.size();
  };
  EXPECT_EQ(count(*with), count(*without));
}

TEST_P(SettingsTest, ThatTheAdapterDoesNotTakeAreTold) {
  const auto engine = Engine::start(config("configured:Plain", {{"password", "sesame"}}));
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, "adapter_failed");
  EXPECT_THAT(engine.error().message,
              AllOf(HasSubstr("configured:Plain takes no settings, and there are password"),
                    HasSubstr("worker.settings"), Not(HasSubstr("sesame"))));
  const auto plain = test::start_pool(config("configured:Plain", {}));
  ASSERT_NE(plain, nullptr);
  EXPECT_TRUE(plain->execute_anonymous("ping", {}));
}

TEST(ConfiguredSettingsTest, AreTheDictThatTheConfigurationHas) {
  const Config written = Config::parse_toml("[worker.settings]\na.b = [1, 'c', true]").value();
  Config config = test::pool_config(1, "configured:Configured");
  config.worker.settings = written.worker.settings;
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(settings_of(*engine), R"({"a":{"b":[1,"c",true]}})");
}

}  // namespace
}  // namespace dspool
