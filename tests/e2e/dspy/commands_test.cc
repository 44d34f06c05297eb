// Every command of the dspy adapter, by sessions that move between two workers.
#include <gmock/gmock.h>

#include <array>
#include <csignal>
#include <set>
#include <string>
#include <vector>

#include "tests/e2e/dspy/dspy_pool.h"

namespace dspool {
namespace {

using test::code_of;
using testing::HasSubstr;
using testing::SizeIs;

Value signature() {
  return {{"name", "QuestionAnswer"},
          {"description", "Answer briefly."},
          {"inputs", Value::list({Value{{"name", "question"}, {"type", "string"}}})},
          {"outputs", Value::list({Value{{"name", "answer"}, {"type", "str"}},
                                   Value{{"name", "score"}, {"type", "int"}}})}};
}

class DspyCommandTest : public test::DspyTest {
 protected:
  void SetUp() override { ASSERT_NO_FATAL_FAILURE(start(config(2, 1))); }

  // Has the session's next call run elsewhere.
  Value turn(std::string_view session, std::string_view command, const Value& args) {
    const auto answer = engine_->execute_in_session(session, command, args, options_);
    EXPECT_TRUE(answer) << command << ": " << answer.error().describe();
    if (!answer) return {};
    if (!answer->worker.empty()) workers_.emplace(answer->worker);
    move(session);
    return answer->value;
  }
  std::string refused(std::string_view session, std::string_view command, const Value& args) {
    return code_of(engine_->execute_in_session(session, command, args, options_));
  }

  std::set<std::string> workers_;
};

TEST_F(DspyCommandTest, AllWorkWhereverTheSessionIs) {
  Value told = turn("s", "ping", {});
  EXPECT_EQ(told["status"].as_string(), "ok");
  EXPECT_EQ(told["current_session"].as_string(), "s");
  EXPECT_TRUE(told["dspy_available"].as_bool());
  told = turn("s", "configure_lm", model_args("openai/own"));
  EXPECT_EQ(told["status"].as_string(), "configured");
  ASSERT_TRUE(engine_->execute_anonymous("configure_lm", model_args("openai/pools")));

  constexpr std::array kKinds = {"predict", "chain_of_thought", "react", "essay"};
  for (const std::string_view kind : kKinds) {
    const bool own = kind == "essay";
    told = turn("s", "create_program",
                {{"id", kind},
                 {"signature", own ? Value() : signature()},
                 {"program_type", kind},
                 {"config", own ? Value() : Value{{"temperature", 0.5}}}});
    EXPECT_EQ(told["program_id"].as_string(), kind);
    EXPECT_EQ(told["status"].as_string(), "created");
  }
  told = turn("s", "list_programs", {});
  EXPECT_EQ(told["total_count"].as_int64(), 4);
  EXPECT_EQ(told["registered"].to_json(), R"(["essay","learner"])");
  requests_.on_each(test::look_up_once);
  for (const std::string_view kind : kKinds) {
    told = turn("s", "execute_program", {{"program_id", kind}, {"inputs", {{"question", "Why?"}}}});
    EXPECT_EQ(told["program_id"].as_string(), kind);
    EXPECT_FALSE(told["outputs"]["answer"].as_string().empty()) << kind;
    EXPECT_GT(told["execution_time"].as_double(), 0);
    if (kind == "react") {
      EXPECT_EQ(told["outputs"]["trajectory"]["observation_0"].as_string(), "nothing about rings");
    }
    told = turn("s", "get_program_info", {{"program_id", kind}});
    EXPECT_EQ(told["program_type"].as_string(), kind);
    EXPECT_EQ(told["model"].as_string(), "openai/own");
  }

  turn("s", "execute_program", {{"program_id", "learner"}, {"inputs", {{"question", "Why?"}}}});
  const Value learned = turn("s", "get_program_info", {{"program_id", "learner"}});
  EXPECT_EQ(learned["demos"].as_int64(), 1);
  told = turn("t", "load_program", {{"program_id", "learner"}, {"state", learned["state"]}});
  EXPECT_EQ(told["status"].as_string(), "loaded");
  EXPECT_EQ(turn("t", "get_program_info", {{"program_id", "learner"}})["demos"].as_int64(), 1);

  EXPECT_EQ(turn("s", "delete_program", {{"program_id", "react"}})["status"].as_string(),
            "deleted");
  EXPECT_EQ(refused("s", "execute_program", {{"program_id", "react"}, {"inputs", signature()}}),
            "program_not_found");
  EXPECT_EQ(refused("s", "create_program",
                    {{"id", "p"},
                     {"signature", signature()},
                     {"program_type", "react"},
                     {"tools", Value::list({"os.system"})}}),
            "tool_not_found");
  EXPECT_EQ(refused("s", "create_program", {{"id", "p"}, {"signature", "question ->"}}),
            "invalid_signature");

  turn("s", "predict", {{"question", "Why?"}});
  told = turn("s", "get_stats", {});
  EXPECT_EQ(told["programs_count"].as_int64(), 4) << "that the session has";
  EXPECT_GT(told["command_count"].as_int64(), 0) << "of this worker";
  EXPECT_EQ(refused("s", "cleanup_session", {{"session_id", "t"}}), "wrong_session");
  told = turn("s", "cleanup_session", {{"session_id", "s"}});
  EXPECT_EQ(told["programs_removed"].as_int64(), 4);
  EXPECT_EQ(told["turns_removed"].as_int64(), 1);
  told = turn("t", "reset_state", {});
  EXPECT_EQ(told["programs_cleared"].as_int64(), 1);
  EXPECT_EQ(turn("t", "list_programs", {})["total_count"].as_int64(), 0);
  EXPECT_THAT(workers_, SizeIs(2));

  for (const Value& prompt : take_prompts()) EXPECT_EQ(prompt["model"].as_string(), "own");
  turn("t", "predict", {{"question", "Why?"}});
  turn("s", "set_lm", {{"model", nullptr}});
  turn("s", "predict", {{"question", "Why?"}});
  for (const Value& prompt : take_prompts()) EXPECT_EQ(prompt["model"].as_string(), "pools");
}

TEST_F(DspyCommandTest, PredictTakesTheShapesThatTheManualShows) {
  const std::array<Value, 5> shapes = {
      Value{{"question", "What is the capital of France?"}},
      Value{{"text", "Classify this sentiment: I love this product!"}},
      Value{{"text", "I love this product!"},
            {"task", "classify_sentiment"},
            {"options", Value::list({"positive", "negative", "neutral"})}},
      Value{{"text", "Hello world"}, {"source_language", "English"}, {"target_language", "French"}},
      Value{{"text", "Long text to summarize..."}, {"max_length", 50}, {"style", "concise"}}};
  for (const bool anonymous : {true, false}) {
    for (const Value& shape : shapes) {
      Value told;
      if (anonymous) {
        const auto answer = engine_->execute_anonymous("predict", shape, options_);
        ASSERT_TRUE(answer) << answer.error().describe();
        told = answer->value;
      } else {
        told = turn("s", "predict", shape);
      }
      EXPECT_EQ(told.size(), 1U);
      EXPECT_FALSE(told["answer"].as_string().empty());
      const std::vector<Value> prompts = take_prompts();
      ASSERT_THAT(prompts, SizeIs(1));
      const std::string asked = test::last_message(prompts[0]);
      for (std::size_t i = 0; i < shape.size(); ++i) {
        const ValueView value = shape[i];
        EXPECT_THAT(asked, HasSubstr("[[ ## " + std::string(shape.view().key(i)) + " ## ]]"));
        const std::string first = value.kind() == Kind::kList
                                      ? std::string(value[std::size_t{0}].as_string())
                                  : value.kind() == Kind::kInt ? value.to_json()
                                                               : std::string(value.as_string());
        EXPECT_THAT(asked, HasSubstr(first));
      }
    }
  }
  EXPECT_THAT(workers_, SizeIs(2));
}

TEST_F(DspyCommandTest, ADeploymentsProgramsAreFoundAnonymouslyOnEveryWorker) {
  while (workers_.size() < 2) {
    const auto answer = engine_->execute_anonymous(
        "execute_program", {{"program_id", "learner"}, {"inputs", {{"question", "Why?"}}}},
        options_);
    ASSERT_TRUE(answer) << answer.error().describe();
    EXPECT_FALSE(answer->value["outputs"]["answer"].as_string().empty());
    workers_.emplace(answer->worker);
    const auto unnamed = engine_->execute_anonymous(
        "create_program", {{"id", "p"}, {"signature", "question -> answer"}}, options_);
    EXPECT_EQ(code_of(unnamed), "session_required");
    // The others are as good: it is the last one's turn to be away.
    for (const WorkerHealth& worker : engine_->health().workers) {
      if (worker.worker == answer->worker && worker.pid > 0) ::kill(worker.pid, SIGKILL);
    }
  }
}

TEST_F(DspyCommandTest, WhoHasNoModelIsToldHowToSetOne) {
  EXPECT_EQ(refused("s", "set_lm", {{"model", "nobody-knows-this"}}), "invalid_language_model");
  turn("s", "predict", {{"question", "Why?"}});
  engine_.reset();
  engine_ = test::start_pool(config(2, 1));
  ASSERT_NE(engine_, nullptr);
  const auto answer = engine_->execute_in_session("s", "predict", {{"question", "Why?"}}, options_);
  ASSERT_EQ(code_of(answer), "no_language_model");
  EXPECT_THAT(answer.error().describe(), HasSubstr("set_lm"));
  turn("s", "set_lm", model_args("openai/own"));
  turn("s", "predict", {{"question", "Why?"}});
}

}  // namespace
}  // namespace dspool
