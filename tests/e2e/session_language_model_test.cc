// Sessions with language models of their own, beside the pool's: who gets which, whatever becomes
// of workers, of memory and of the engine; and where the key is not.
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "dspool/store.h"
#include "tests/e2e/captured_log.h"
#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

using test::code_of;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kSecret = "sk-session-4f3e2d1c0b9a";

std::string written_in(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class SessionLanguageModelTest : public testing::Test {
 protected:
  void start() {
    engine_.reset();
    engine_ = test::start_pool(config_);
    ASSERT_NE(engine_, nullptr);
  }
  void keep_sessions() {
    config_.store.path = (directory_.path() / "store").string();
    config_.session.durability = Durability::kLocal;
  }
  // The model that a call of the session has; empty: none. Or the code of its error.
  std::string model_of(std::string_view session) {
    const auto told =
        session.empty()
            ? engine_->execute_anonymous("language_model", {}, {.max_retries = 5})
            : engine_->execute_in_session(session, "language_model", {}, {.max_retries = 5});
    return told ? std::string(told->value["model"].as_string()) : told.error().code;
  }
  void kill_workers() {
    const std::uint64_t before = engine_->stats().worker_restarts;
    const auto workers = engine_->health().workers;
    std::uint64_t killed = 0;
    for (const WorkerHealth& worker : workers) {
      if (worker.pid <= 0) continue;  // it has none just now
      ::kill(worker.pid, SIGKILL);
      ++killed;
    }
    while (engine_->stats().worker_restarts < before + killed) std::this_thread::yield();
  }

  const test::TemporaryDirectory directory_;
  Config config_ = test::pool_config(2);
  std::unique_ptr<Engine> engine_;
};

TEST_F(SessionLanguageModelTest, GoesBeforeThePoolsUntilItIsTakenAway) {
  start();
  ASSERT_TRUE(engine_->execute_anonymous("set_lm", {{"model", "gpt-4o-mini"}}));
  const auto set = engine_->execute_in_session(
      "a", "configure_lm",
      {{"model", "gemini-1.5-flash"}, {"api_key", kSecret}, {"temperature", 0.7}});
  ASSERT_TRUE(set) << set.error().describe();
  EXPECT_EQ(set->value.to_json(), R"({"model":"gemini/gemini-1.5-flash","status":"configured"})");
  EXPECT_EQ(set->version, 1U);
  EXPECT_EQ(engine_->get_session("a")->language_model, "gemini/gemini-1.5-flash");
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(model_of("a"), "gemini/gemini-1.5-flash");
    EXPECT_EQ(model_of("b"), "openai/gpt-4o-mini");
    EXPECT_EQ(model_of(""), "openai/gpt-4o-mini");
  }
  const auto told = engine_->execute_in_session("a", "language_model", {});
  EXPECT_EQ(told->value["api_key"].as_string(), kSecret);
  EXPECT_EQ(told->value["temperature"].as_double(), 0.7);
  const auto reset = engine_->execute_in_session("a", "set_lm", {{"model", nullptr}});
  ASSERT_TRUE(reset) << reset.error().describe();
  EXPECT_EQ(reset->version, 2U);
  EXPECT_EQ(model_of("a"), "openai/gpt-4o-mini");
  EXPECT_EQ(engine_->get_session("a")->language_model, "");
  EXPECT_THAT(test::check_history(engine_->history()), IsEmpty());
}

TEST_F(SessionLanguageModelTest, IsSetByTheFunctionAndByASubmittedCommandToo) {
  start();
  ASSERT_TRUE(engine_->set_session_lm("a", LanguageModel{.model = "llama", .provider = "ollama"}));
  EXPECT_EQ(model_of("a"), "ollama/llama");
  std::promise<Result<Answer>> promised;
  engine_->submit("a", "set_lm", {{"model", "openai/x"}, {"api_key", kSecret}},
                  [&](Result<Answer> answer) { promised.set_value(std::move(answer)); });
  const auto set = promised.get_future().get();
  ASSERT_TRUE(set) << set.error().describe();
  EXPECT_EQ(set->version, 2U);
  EXPECT_EQ(model_of("a"), "openai/x");
  ASSERT_TRUE(engine_->set_session_lm("a", std::nullopt));
  EXPECT_EQ(model_of("a"), "");
  EXPECT_EQ(code_of(engine_->set_session_lm("a", LanguageModel{.model = "llama"})),
            "invalid_language_model");
  EXPECT_EQ(code_of(engine_->set_session_lm("absent", LanguageModel{.model = "gpt-4o"},
                                            {.create_session = false})),
            "session_not_found");
}

// Calls and changes of the model are submitted all at once: each call has what was set before it.
TEST_F(SessionLanguageModelTest, TakesItsTurnAmongTheCalls) {
  config_.session_queue_limit = 1'000;
  start();
  std::vector<std::future<Result<Answer>>> told;
  const auto submit = [&](std::string_view command, Value args) {
    auto promise = std::make_shared<std::promise<Result<Answer>>>();
    told.push_back(promise->get_future());
    engine_->submit("a", command, std::move(args),
                    [promise](Result<Answer> answer) { promise->set_value(std::move(answer)); });
  };
  for (int i = 0; i < 20; ++i) {
    submit("set_lm", {{"model", "openai/" + std::to_string(i)}, {"api_key", kSecret}});
    submit("language_model", {});
  }
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(told[2 * i].get());
    const auto answer = told[2 * i + 1].get();
    ASSERT_TRUE(answer) << answer.error().describe();
    EXPECT_EQ(answer->value["model"].as_string(), "openai/" + std::to_string(i));
  }
}

TEST_F(SessionLanguageModelTest, ReachesTheWorkerThatComesNext) {
  start();
  ASSERT_TRUE(engine_->set_lm({.model = "openai/pool", .api_key = "sk-of-the-pool"}));
  ASSERT_TRUE(engine_->set_session_lm("a", LanguageModel{.model = "openai/a"}));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(model_of("a"), "openai/a");
    EXPECT_EQ(model_of("b"), "openai/pool");
    kill_workers();
  }
  EXPECT_EQ(model_of("a"), "openai/a");
  EXPECT_EQ(model_of("b"), "openai/pool");
}

TEST_F(SessionLanguageModelTest, TwoAreInUseInOneWorkerAtOnce) {
  config_ = test::pool_config(1);
  config_.worker.max_in_flight = 2;
  start();
  for (const std::string session : {"a", "b"}) {
    ASSERT_TRUE(engine_->set_session_lm(session, LanguageModel{.model = "openai/" + session}));
  }
  const auto meet = [&](const std::string& session) {
    return std::async(std::launch::async, [this, session] {
      const auto told = engine_->execute_in_session(session, "meet_with_model", {});
      return told ? std::string(told->value.as_string()) : told.error().describe();
    });
  };
  auto a = meet("a");
  auto b = meet("b");
  EXPECT_EQ(a.get(), "openai/a");
  EXPECT_EQ(b.get(), "openai/b");
}

TEST_F(SessionLanguageModelTest, OneThatTheAdapterRefusesIsTheSessionsOwnTrouble) {
  start();
  ASSERT_TRUE(engine_->set_lm({.model = "openai/pool"}));
  ASSERT_TRUE(
      engine_->set_session_lm("a", LanguageModel{.model = "openai/refused", .api_key = kSecret}));
  for (int i = 0; i < 4; ++i) {
    const auto refused = engine_->execute_in_session("a", "language_model", {});
    ASSERT_EQ(code_of(refused), "set_lm_failed");
    EXPECT_THAT(refused.error().message, Not(HasSubstr(kSecret)));
    EXPECT_EQ(model_of("b"), "openai/pool");
  }
  ASSERT_TRUE(engine_->set_session_lm("a", LanguageModel{.model = "openai/fine"}));
  EXPECT_EQ(model_of("a"), "openai/fine");
}

TEST_F(SessionLanguageModelTest, SurvivesTheEngineButForItsKey) {
  keep_sessions();
  start();
  ASSERT_TRUE(engine_->set_session_lm("open", LanguageModel{.model = "openai/open"}));
  const LanguageModel keyed{.model = "openai/keyed", .api_key = kSecret, .temperature = 0.25};
  ASSERT_TRUE(engine_->set_session_lm("keyed", keyed));
  ASSERT_TRUE(engine_->set_session_lm("back", keyed));
  ASSERT_TRUE(engine_->set_session_lm("back", std::nullopt));
  start();
  ASSERT_TRUE(engine_->set_lm({.model = "openai/pool"}));
  EXPECT_EQ(model_of("open"), "openai/open");
  EXPECT_EQ(model_of("back"), "openai/pool");
  const auto missing = engine_->execute_in_session("keyed", "increment", {});
  EXPECT_EQ(code_of(missing), "language_model_key_missing");
  EXPECT_TRUE(engine_->read_fields("keyed")) << "that needs no model";
  EXPECT_EQ(engine_->get_session("keyed")->language_model, "openai/keyed");
  ASSERT_TRUE(engine_->set_session_lm("keyed", keyed));
  EXPECT_EQ(model_of("keyed"), "openai/keyed");
  EXPECT_EQ(engine_->get_session("keyed")->version, 2U);
}

TEST_F(SessionLanguageModelTest, KeepsItsKeyWhileTheFieldsAreAtRest) {
  keep_sessions();
  config_.store.memory_limit = std::size_t{4} << 20;
  start();
  for (const char* session : {"a", "m"}) {
    const bool local = session[0] == 'a';
    ASSERT_TRUE(engine_->create_session(
        session, {.durability = local ? Durability::kLocal : Durability::kMemory}));
    ASSERT_TRUE(engine_->execute_in_session(session, "keep", {{"size", 1'000}}));
    ASSERT_TRUE(
        engine_->set_session_lm(session, LanguageModel{.model = "openai/own", .api_key = kSecret}));
  }
  const auto both_at_rest = [&] {
    return engine_->get_session("a")->at_rest && engine_->get_session("m")->at_rest;
  };
  for (int i = 0; i < 1'000 && !both_at_rest(); ++i) {
    ASSERT_TRUE(
        engine_->execute_in_session("filler-" + std::to_string(i), "keep", {{"size", 100'000}}));
  }
  ASSERT_TRUE(both_at_rest());
  for (const char* session : {"a", "m"}) {
    const auto told = engine_->execute_in_session(session, "language_model", {});
    ASSERT_TRUE(told) << told.error().describe();
    EXPECT_EQ(told->value["api_key"].as_string(), kSecret);
  }
}

TEST_F(SessionLanguageModelTest, GoesAlongInAnExport) {
  keep_sessions();
  start();
  ASSERT_TRUE(engine_->set_session_lm(
      "a", LanguageModel{.model = "openai/own", .api_base = "http://here", .temperature = 0.5}));
  ASSERT_TRUE(
      engine_->set_session_lm("keyed", LanguageModel{.model = "openai/keyed", .api_key = kSecret}));
  engine_.reset();
  std::stringstream lines;
  {
    auto store = StoreAtRest::open(config_.store.path);
    ASSERT_TRUE(store) << store.error().describe();
    ASSERT_TRUE((*store)->export_lines(lines, {}));
  }
  EXPECT_THAT(lines.str(), HasSubstr(R"("language_model":{"model":"openai/own")"));
  EXPECT_THAT(lines.str(), Not(HasSubstr(kSecret)));
  config_.store.path = (directory_.path() / "other").string();
  const auto imported =
      StoreAtRest::import_lines(config_.store.path, lines, StoreAtRest::Existing::kRefuse, {});
  ASSERT_TRUE(imported) << imported.error().describe();
  start();
  EXPECT_EQ(model_of("a"), "openai/own");
  EXPECT_EQ(engine_->get_session("a")->version, 1U);
  EXPECT_EQ(model_of("keyed"), "language_model_key_missing");
}

TEST_F(SessionLanguageModelTest, ItsKeyIsInNothingThatIsWrittenOrTold) {
  keep_sessions();
  test::CapturedLog log;
  log.capture(config_, LogLevel::kDebug);
  start();
  const auto set = engine_->execute_in_session(
      "a", "set_lm", {{"model", "gpt-4o"}, {"api_key", kSecret}}, {.idempotency_key = "once"});
  ASSERT_TRUE(set) << set.error().describe();
  EXPECT_THAT(set->value.to_json(), Not(HasSubstr(kSecret)));
  ASSERT_TRUE(engine_->execute_in_session("a", "increment", {}));
  const auto failed = engine_->execute_in_session("a", "tell_key", {});
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("<api_key>"));
  EXPECT_THAT(failed.error().describe() + failed.error().traceback, Not(HasSubstr(kSecret)));
  const auto refused =
      engine_->execute_in_session("a", "set_lm", {{"model", "nobody-knows"}, {"api_key", kSecret}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().describe(), Not(HasSubstr(kSecret)));
  EXPECT_THAT(engine_->read_fields("a")->value.to_json(), Not(HasSubstr(kSecret)));
  const History history = engine_->history();
  for (const Event& event : history.events) {
    EXPECT_THAT(event.to_json(), Not(HasSubstr(kSecret)));
  }
  const std::filesystem::path process =
      "/proc/" + std::to_string(engine_->health().workers.at(0).pid);
  EXPECT_THAT(written_in(process / "environ"), Not(HasSubstr(kSecret)));
  EXPECT_THAT(written_in(process / "cmdline"), Not(HasSubstr(kSecret)));
  engine_.reset();
  EXPECT_THAT(log.text(), Not(HasSubstr(kSecret)));
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory_.path())) {
    if (file.is_regular_file()) {
      EXPECT_THAT(written_in(file.path()), Not(HasSubstr(kSecret))) << file.path();
    }
  }
}

// A new one replaces the key, and an idempotency key does not stand in its way.
TEST_F(SessionLanguageModelTest, SetAgainWithTheSameIdempotencyKeyItIsSetAgain) {
  keep_sessions();
  const Value args{{"model", "gpt-4o"}, {"api_key", kSecret}};
  for (int i = 0; i < 2; ++i) {
    start();
    ASSERT_TRUE(engine_->execute_in_session("a", "set_lm", args, {.idempotency_key = "once"}));
    const auto told = engine_->execute_in_session("a", "language_model", {});
    ASSERT_TRUE(told) << told.error().describe();
    EXPECT_EQ(told->value["api_key"].as_string(), kSecret);
  }
}

}  // namespace
}  // namespace dspool
