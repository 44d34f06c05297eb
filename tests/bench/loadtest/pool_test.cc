#include "bench/loadtest/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/support/temporary_file.h"

namespace dspool::loadtest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Without what the environment says.
class PoolTest : public testing::Test {
 protected:
  PoolTest() {
    unsetenv("DSPOOL_PYTHON");
    unsetenv("DSPOOL_API_KEY");
  }

  std::string write(std::string_view toml) { return file_.write(toml); }

 private:
  test::TemporaryFile file_;
};

TEST_F(PoolTest, KnowsItsAdaptersByTheirShortNames) {
  EXPECT_EQ(make_config({}, {})->worker.adapter, "dspool_worker.adapters.loadtest:LoadTest");
  EXPECT_EQ(make_config({.adapter = "dspy"}, {})->worker.adapter,
            "dspool_worker.adapters.dspy:Dspy");
  EXPECT_EQ(make_config({.adapter = "a.b:C"}, {})->worker.adapter, "a.b:C");
}

TEST_F(PoolTest, PutsOptionsBeforeTheFile) {
  const std::string file =
      write("pool_size = 3\naffinity = \"off\"\n[worker]\nmax_in_flight = 5\n");
  const Result<Config> config = make_config({.workers = 7, .config_file = file}, {});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->pool_size, 7U);
  EXPECT_EQ(config->affinity, Affinity::kOff);
  EXPECT_EQ(config->worker.max_in_flight, 5U);
}

TEST_F(PoolTest, KeepsTheFilesAdapterAndLogLevelUnlessOptionsNameOthers) {
  const std::string file =
      write("log_level = \"debug\"\n[worker]\nadapter = \"dspool_worker.adapters.dspy:Dspy\"\n");
  const Result<Config> config = make_config({.config_file = file}, {});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->log_level, LogLevel::kDebug);
  EXPECT_EQ(config->worker.adapter, "dspool_worker.adapters.dspy:Dspy");
  EXPECT_EQ(with_adapter_of(*config, {}).adapter, "dspy");

  const Options others{.adapter = "a.b:C", .config_file = file, .log_level = LogLevel::kOff};
  EXPECT_EQ(make_config(others, {})->worker.adapter, "a.b:C");
  EXPECT_EQ(make_config(others, {})->log_level, LogLevel::kOff);
}

TEST_F(PoolTest, LogsWarningsUnlessAFileSaysOtherwise) {
  EXPECT_EQ(make_config({}, {})->log_level, LogLevel::kWarning);
}

TEST_F(PoolTest, KeepsSeveralQuestionsInFlightForDspyUnlessAFileSaysOtherwise) {
  EXPECT_EQ(make_config({}, {})->worker.max_in_flight, 1U);
  EXPECT_EQ(make_config({.adapter = "dspy"}, {})->worker.max_in_flight, 8U);
  EXPECT_EQ(make_config({.adapter = "dspy", .config_file = write("")}, {})->worker.max_in_flight,
            1U);
  EXPECT_EQ(make_config({.adapter = "dspy", .max_in_flight = 2}, {})->worker.max_in_flight, 2U);
}

TEST_F(PoolTest, TakesTheInterpreterFromTheOptionThenTheEnvironmentThenTheFile) {
  const std::string file = write("[worker]\npython = \"/from/file\"\n");
  EXPECT_EQ(make_config({.config_file = file}, {})->worker.python, "/from/file");
  setenv("DSPOOL_PYTHON", "/from/environment", 1);
  EXPECT_EQ(make_config({.config_file = file}, {})->worker.python, "/from/environment");
  EXPECT_EQ(make_config({.python = "/from/option", .config_file = file}, {})->worker.python,
            "/from/option");
}

TEST_F(PoolTest, MakesTheInterpretersPathAbsolute) {
  EXPECT_EQ(make_config({.python = "some/python"}, {})->worker.python,
            (std::filesystem::current_path() / "some/python").string());
}

TEST_F(PoolTest, PutsTheProgramsPackagesBehindTheFilesOnes) {
  const std::string file = write("[worker]\npython_path = [\"/mine\"]\n");
  EXPECT_THAT(make_config({.config_file = file}, {"/dspool"})->worker.python_path,
              ElementsAre("/mine", "/dspool"));
}

TEST_F(PoolTest, RecordsAHistoryOnlyWhereOneIsWanted) {
  EXPECT_EQ(make_config({}, {})->history_events, 0U);
  EXPECT_GT(make_config({.history_file = "h"}, {})->history_events, 0U);
}

TEST_F(PoolTest, RefusesAWrongFile) {
  const Result<Config> config = make_config({.config_file = write("pool_sise = 3\n")}, {});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, "invalid_config");
}

TEST_F(PoolTest, NeedsAKeyForAnApiOfOnesOwn) {
  const Result<Pool> pool =
      start_pool({.adapter = "dspy", .api_base = "http://localhost", .model = "openai/x"}, {});
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().code, "invalid_options");
  EXPECT_THAT(pool.error().message, HasSubstr("DSPOOL_API_KEY"));
}

}  // namespace
}  // namespace dspool::loadtest
