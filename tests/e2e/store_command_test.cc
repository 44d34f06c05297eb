// `dspool store` on what an engine left.
#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "tests/e2e/pool.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Ran {
  int status = -1;
  std::string output;  // and what it complained of
};

Ran run(const std::string& arguments) {
  const std::string command = std::string(DSPOOL_PROGRAM) + " store " + arguments + " 2>&1";
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  Ran ran;
  std::array<char, 4096> block{};
  while (const std::size_t got = std::fread(block.data(), 1, block.size(), pipe)) {
    ran.output.append(block.data(), got);
  }
  ran.status = WEXITSTATUS(::pclose(pipe));
  return ran;
}

std::string text_of(const std::string& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

class StoreCommandTest : public testing::Test {
 protected:
  StoreCommandTest() {
    Config config = test::pool_config(1);
    config.store.path = store_;
    config.session.durability = Durability::kLocal;
    engine_ = test::start_pool(config);
    for (const char* id : {"a", "b"}) {
      static_cast<void>(engine_->execute_in_session(id, "increment", {{"by", 2}}));
      static_cast<void>(engine_->execute_in_session(id, "append", {{"item", "one"}}));
      static_cast<void>(engine_->execute_in_session(id, "append", {{"item", "two"}}));
    }
  }

  const test::TemporaryDirectory directory_;
  const std::string store_ = (directory_.path() / "store").string();
  const std::string copy_ = (directory_.path() / "copy").string();
  std::unique_ptr<Engine> engine_;
};

TEST_F(StoreCommandTest, ChecksListsAndShows) {
  engine_.reset();
  const Ran checked = run("check " + store_ + " --json");
  EXPECT_EQ(checked.status, 0);
  const auto report = Value::parse_json(checked.output);
  ASSERT_TRUE(report) << checked.output;
  EXPECT_EQ((*report)["sessions"].as_int64(), 2);
  EXPECT_EQ((*report)["versions"]["min"].as_int64(), 3);
  EXPECT_EQ((*report)["versions"]["max"].as_int64(), 3);
  EXPECT_EQ((*report)["damaged"].as_int64(), 0);
  EXPECT_THAT(run("ls " + store_).output, HasSubstr("\"b\""));
  const Ran shown = run("show " + store_ + " a --json");
  EXPECT_THAT(shown.output, HasSubstr(R"("items":["one","two"])"));
  EXPECT_THAT(shown.output, HasSubstr(R"("language_model":null)"));
  EXPECT_NE(run("show " + store_ + " nobody").status, 0);
}

TEST_F(StoreCommandTest, ShowsASessionsModelButNotItsKey) {
  const std::string key = "sk-store-0d9c8b7a";
  ASSERT_TRUE(engine_->set_session_lm("a", LanguageModel{.model = "gpt-4o-mini",
                                                         .api_base = "http://here/v1",
                                                         .api_key = key,
                                                         .temperature = 0.25}));
  ASSERT_TRUE(engine_->set_session_lm("b", LanguageModel{.model = "ollama/llama"}));
  engine_.reset();
  const Ran json = run("show " + store_ + " a --json");
  const auto shown = Value::parse_json(json.output);
  ASSERT_TRUE(shown) << json.output;
  EXPECT_EQ((*shown)["language_model"].to_json(),
            R"({"api_base":"http://here/v1","had_key":true,"model":"openai/gpt-4o-mini",)"
            R"("provider":"openai","temperature":0.25})");
  const Ran text = run("show " + store_ + " a");
  EXPECT_THAT(text.output, HasSubstr("provider    \"openai\"\napi_base    \"http://here/v1\""));
  EXPECT_THAT(text.output, HasSubstr("not stored"));
  EXPECT_THAT(json.output + text.output, Not(HasSubstr(key)));
  const Ran keyless = run("show " + store_ + " b");
  EXPECT_THAT(keyless.output, HasSubstr("\"ollama/llama\""));
  EXPECT_THAT(keyless.output, Not(HasSubstr("not stored")));
}

TEST_F(StoreCommandTest, WhatIsExportedIsImportedWhole) {
  engine_.reset();
  const std::string lines = (directory_.path() / "lines").string();
  ASSERT_EQ(run("export " + store_ + " " + lines).status, 0);
  EXPECT_EQ(run("import " + copy_ + " " + lines).status, 0);
  const std::string again_lines = lines + ".again";
  EXPECT_EQ(run("export " + copy_ + " " + again_lines).status, 0);
  EXPECT_EQ(text_of(again_lines), text_of(lines));
  const Ran again = run("import " + copy_ + " " + lines);
  EXPECT_NE(again.status, 0);
  EXPECT_THAT(again.output, HasSubstr("line 1"));
}

TEST_F(StoreCommandTest, CopiesAStoreInUseAndRefusesAllElseOfIt) {
  const Ran refused = run("check " + store_);
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.output, HasSubstr(std::to_string(::getpid())));
  EXPECT_EQ(run("backup " + store_ + " " + copy_).status, 0);
  EXPECT_THAT(run("check " + copy_ + " --json").output, HasSubstr(R"("sessions":2)"));
}

}  // namespace
}  // namespace dspool
