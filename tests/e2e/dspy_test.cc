// Real DSPy behind a pool, with an offline model over HTTP: conversations and programs survive the
// death of their workers, and say the same to the model afterwards.
#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/offline_lm/offline_lm.h"
#include "tests/e2e/pool.h"

namespace dspool {
namespace {

using offline_lm::OfflineLm;
using offline_lm::Refusal;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr const char* kKey = "sk-offline-5f2e8d1c";
const CallOptions kOptions{.timeout = std::chrono::minutes(2), .max_retries = 5};

// What the model was asked, and what it did about it.
class Requests {
 public:
  using Handler = std::function<std::optional<Refusal>(std::string_view body)>;

  // Called for each of them, from several threads at once.
  void on_each(Handler handler) {
    const std::lock_guard lock(mutex_);
    handler_ = std::move(handler);
  }

  [[nodiscard]] std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(bodies_, {});
  }

  std::optional<Refusal> add(std::string_view body) {
    Handler handler;
    {
      const std::lock_guard lock(mutex_);
      bodies_.emplace_back(body);
      handler = handler_;
    }
    return handler ? handler(body) : std::nullopt;
  }

 private:
  std::mutex mutex_;
  Handler handler_;
  std::vector<std::string> bodies_;
};

class DspyTest : public testing::Test {
 protected:
  // Forks, which are there at once when a worker was killed.
  static Config config(std::uint32_t workers, std::uint32_t max_in_flight) {
    Config config = test::pool_config(workers, "dspool_worker.adapters.dspy:Dspy");
    config.worker.start_method = StartMethod::kForkServer;
    config.worker.max_in_flight = max_in_flight;
    config.worker.max_restarts = 0;
    return config;
  }

  void start(const Config& config) {
    auto model = OfflineLm::start(
        {.on_request = [this](std::string_view body) { return requests_.add(body); }});
    ASSERT_TRUE(model) << model.error().describe();
    model_ = *std::move(model);
    engine_ = test::start_pool(config);
    ASSERT_NE(engine_, nullptr);
    const auto set = engine_->set_lm(
        {.model = "openai/offline", .api_base = model_->api_base(), .api_key = kKey});
    ASSERT_TRUE(set) << set.error().describe();
  }

  Value call(std::string_view session, std::string_view command, const Value& args) {
    const auto answer = engine_->execute_in_session(session, command, args, kOptions);
    EXPECT_TRUE(answer) << answer.error().describe();
    return answer ? answer->value : Value();
  }

  // As a caller does who knows that it is the killing, and not the call. Of a call that was lost
  // nothing has happened, and for one that was shed it was too early.
  Value call_until_answered(std::string_view session, std::string_view command, const Value& args) {
    while (true) {
      const auto answer = engine_->execute_in_session(session, command, args, kOptions);
      if (answer) return answer->value;
      const std::string& code = answer.error().code;
      if (code == "session_quarantined") {
        EXPECT_TRUE(engine_->release_session(session));
      } else if (code != "worker_lost" && code != "call_quarantined" && code != "overloaded") {
        ADD_FAILURE() << answer.error().describe();
        return {};
      }
    }
  }

  void kill_all() {
    for (const WorkerHealth& worker : engine_->health_check().workers) {
      if (worker.pid > 0) ::kill(worker.pid, SIGKILL);
    }
  }

  Requests requests_;
  std::unique_ptr<OfflineLm> model_;
  std::unique_ptr<Engine> engine_;
};

std::string content_of(ValueView message) {
  const ValueView content = message["content"];
  if (content.kind() != Kind::kList) return std::string(content.as_string());
  std::string text;
  for (std::size_t i = 0; i < content.size(); ++i) text += content[i]["text"].as_string();
  return text;
}

// How many messages of a role in a prompt have this in them.
int messages_with(const Value& prompt, std::string_view role, std::string_view text) {
  int count = 0;
  const ValueView messages = prompt["messages"];
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (messages[i]["role"].as_string() != role) continue;
    if (content_of(messages[i]).find(text) != std::string::npos) ++count;
  }
  return count;
}

std::string question_as_shown(std::string_view question) {
  return "[[ ## question ## ]]\n" + std::string(question) + "\n";
}

struct Conversation {
  std::string session;
  std::vector<std::string> turns;
  std::vector<std::string> answers{};
};

std::vector<Conversation> mt_bench() {
  std::ifstream file(std::filesystem::path(DSPOOL_DATA_DIR) / "mt_bench_questions.jsonl");
  std::vector<Conversation> conversations;
  for (std::string line; std::getline(file, line);) {
    const Result<Value> json = Value::parse_json(line);
    if (!json) continue;
    const ValueView turns = (*json)["turns"];
    conversations.push_back(
        {.session = (*json)["question_id"].to_json(),
         .turns = {std::string(turns[0].as_string()), std::string(turns[1].as_string())}});
  }
  return conversations;
}

// Eight callers hold all conversations, while a worker is killed for every eighth answer.
TEST_F(DspyTest, EachSecondTurnHoldsTheFirstOnceThoughWorkersAreKilled) {
  std::vector<Conversation> conversations = mt_bench();
  if (conversations.empty()) GTEST_SKIP() << "there is no MT-Bench in " << DSPOOL_DATA_DIR;
  ASSERT_THAT(conversations, SizeIs(80));
  ASSERT_NO_FATAL_FAILURE(start(config(2, 4)));
  std::mt19937 draw(20260723);
  std::mutex drawing;
  std::atomic<std::size_t> next{0};
  std::atomic<int> answered{0};
  {
    std::vector<std::jthread> callers;
    callers.reserve(8);
    for (int i = 0; i < 8; ++i) {
      callers.emplace_back([&] {
        for (std::size_t at = next++; at < conversations.size(); at = next++) {
          Conversation& conversation = conversations[at];
          for (const std::string& turn : conversation.turns) {
            const Value said =
                call_until_answered(conversation.session, "predict", {{"question", turn}});
            conversation.answers.emplace_back(said["answer"].as_string());
            if (++answered % 8 != 0) continue;
            const auto workers = engine_->health_check().workers;
            const std::lock_guard lock(drawing);
            const int pid = workers.at(draw() % workers.size()).pid;
            if (pid > 0) ::kill(pid, SIGKILL);
          }
        }
      });
    }
  }
  EXPECT_GT(engine_->stats().worker_restarts, 0U);

  std::vector<Value> prompts;
  for (const std::string& body : requests_.take()) {
    Result<Value> prompt = Value::parse_json(body);
    ASSERT_TRUE(prompt);
    prompts.push_back(*std::move(prompt));
  }
  for (const Conversation& conversation : conversations) {
    const std::string first = question_as_shown(conversation.turns[0]);
    const std::string second = question_as_shown(conversation.turns[1]);
    int asked = 0;
    for (const Value& prompt : prompts) {
      const ValueView messages = prompt["messages"];
      if (messages_with(prompt, "user", first) == 0) continue;
      if (content_of(messages[messages.size() - 1]).find(second) == std::string::npos) continue;
      ++asked;
      EXPECT_EQ(messages_with(prompt, "user", first), 1) << conversation.session;
      EXPECT_EQ(messages_with(prompt, "assistant", conversation.answers[0]), 1)
          << conversation.session;
      EXPECT_EQ(messages.size(), 4U) << "a system's, two of the first turn, the second's question";
    }
    EXPECT_GE(asked, 1) << conversation.session;
  }
}

// The model kills whoever asks it first: the same is asked again from elsewhere, to the byte.
TEST_F(DspyTest, AProgramThatMovesInTheMiddleSaysTheSame) {
  ASSERT_NO_FATAL_FAILURE(start(config(2, 1)));
  const Value signature{{"name", "QuestionAnswer"},
                        {"description", "Answer briefly."},
                        {"inputs", Value::list({Value{{"name", "question"}, {"type", "string"}}})},
                        {"outputs", Value::list({Value{{"name", "my-answer"}, {"type", "str"}},
                                                 Value{{"name", "score"}, {"type", "int"}}})}};
  for (const char* const type : {"predict", "chain_of_thought", "react"}) {
    call("s", "create_program", {{"id", type}, {"signature", signature}, {"program_type", type}});
  }
  call("s", "predict", {{"question", "What came before?"}});
  const auto moves = [&](std::string_view command, const Value& args) {
    static_cast<void>(requests_.take());
    std::atomic<bool> killed{false};
    requests_.on_each([&](std::string_view) -> std::optional<Refusal> {
      if (!killed.exchange(true)) kill_all();
      return {};
    });
    const Value answer = call("s", command, args);
    requests_.on_each({});
    const std::vector<std::string> bodies = requests_.take();
    EXPECT_GE(bodies.size(), 2U);
    if (bodies.size() >= 2) {
      EXPECT_EQ(bodies[0], bodies[1]);
    }
    return answer;
  };
  for (const char* const type : {"predict", "chain_of_thought", "react"}) {
    const Value answer =
        moves("execute_program", {{"program_id", type}, {"inputs", {{"question", "Why?"}}}});
    EXPECT_FALSE(answer["outputs"]["my-answer"].as_string().empty()) << type;
    EXPECT_EQ(answer["outputs"]["score"].kind(), Kind::kInt) << type;
  }
  EXPECT_FALSE(moves("predict", {{"question", "And then?"}})["answer"].as_string().empty());
}

// The model answers nobody before 64 have asked: 32 in flight in each of two workers.
TEST_F(DspyTest, SessionsWaitForTheModelAtOnce) {
  constexpr int kSessions = 64;
  ASSERT_NO_FATAL_FAILURE(start(config(2, kSessions / 2)));
  std::mutex mutex;
  std::condition_variable all;
  int waiting = 0;
  requests_.on_each([&](std::string_view) -> std::optional<Refusal> {
    std::unique_lock lock(mutex);
    if (++waiting == kSessions) all.notify_all();
    if (all.wait_for(lock, std::chrono::minutes(1), [&] { return waiting >= kSessions; }))
      return {};
    return Refusal{.status = 400, .message = "only " + std::to_string(waiting) + " asked at once"};
  });
  std::vector<std::string> outcomes(kSessions);
  {
    std::vector<std::jthread> callers;
    callers.reserve(kSessions);
    for (int i = 0; i < kSessions; ++i) {
      callers.emplace_back([&, i] {
        const auto answer =
            engine_->execute_in_session("s" + std::to_string(i), "predict", {{"question", "Why?"}},
                                        {.timeout = std::chrono::minutes(2)});
        outcomes[static_cast<std::size_t>(i)] =
            answer ? "ok" : answer.error().code + ": " + answer.error().message;
      });
    }
  }
  EXPECT_THAT(outcomes, testing::Each("ok"));
}

TEST_F(DspyTest, ASessionMayAskAnotherModel) {
  ASSERT_NO_FATAL_FAILURE(start(config(1, 2)));
  call("own", "set_lm",
       {{"model", "openai/own"}, {"api_base", model_->api_base()}, {"api_key", kKey}});
  for (const char* const session : {"own", "other", "own"}) {
    call(session, "predict", {{"question", "Why?"}});
  }
  std::vector<std::string> asked;
  for (const std::string& body : requests_.take()) {
    const Result<Value> prompt = Value::parse_json(body);
    ASSERT_TRUE(prompt);
    asked.emplace_back((*prompt)["model"].as_string());
  }
  EXPECT_THAT(asked, ElementsAre("own", "offline", "own"));
}

TEST_F(DspyTest, AListenerHearsTheAnswerAsItComes) {
  ASSERT_NO_FATAL_FAILURE(start(config(1, 2)));
  call("s", "create_program",
       {{"id", "p"}, {"signature", "question -> my-answer"}, {"program_type", "chain_of_thought"}});
  std::map<std::string, std::string> heard;
  std::uint64_t chunks = 0;
  CallOptions options = kOptions;
  options.on_chunk = [&](const Chunk& chunk) {
    EXPECT_EQ(chunk.index, chunks++);
    heard[std::string(chunk.value["field"].as_string())] += chunk.value["text"].as_string();
  };
  const Value args{{"program_id", "p"}, {"inputs", {{"question", "What is shared memory?"}}}};
  const auto streamed = engine_->execute_in_session("s", "execute_program", args, options);
  ASSERT_TRUE(streamed) << streamed.error().describe();
  const ValueView outputs = streamed->value["outputs"];
  EXPECT_GT(chunks, 4U);
  EXPECT_EQ(heard["reasoning"], outputs["reasoning"].as_string());
  EXPECT_EQ(heard["my-answer"], outputs["my-answer"].as_string());
  EXPECT_GT(streamed->usage.input_tokens, 0U);
  EXPECT_GT(streamed->usage.output_tokens, 0U);
  const auto silent = engine_->execute_in_session("s", "execute_program", args, kOptions);
  ASSERT_TRUE(silent) << silent.error().describe();
  EXPECT_EQ(silent->value["outputs"]["my-answer"].as_string(), heard["my-answer"]);
  EXPECT_EQ(silent->usage.output_tokens, streamed->usage.output_tokens);
}

// Its caller has heard enough: what it throws cancels the call, and nothing of it is remembered.
TEST_F(DspyTest, AListenerThatGoesAwayEndsTheAnswer) {
  ASSERT_NO_FATAL_FAILURE(start(config(1, 1)));
  CallOptions options{.timeout = std::chrono::minutes(2)};
  options.on_chunk = [](const Chunk&) { throw std::runtime_error("enough"); };
  const auto answer = engine_->execute_in_session("s", "predict", {{"question", "Why?"}}, options);
  EXPECT_FALSE(answer);
  call("s", "predict", {{"question", "And why is that?"}});
  const std::vector<std::string> bodies = requests_.take();
  ASSERT_FALSE(bodies.empty());
  const Result<Value> prompt = Value::parse_json(bodies.back());
  ASSERT_TRUE(prompt);
  EXPECT_EQ((*prompt)["messages"].size(), 2U) << "a system's and the question";
}

// The model goes on thinking about a call that was cancelled: its session and its worker do not.
TEST_F(DspyTest, ACancelledCallEndsWithoutItsModel) {
  Config one = config(1, 2);
  one.worker.cancel_grace =
      std::chrono::minutes(5);  // a call that is killed instead hangs its test
  ASSERT_NO_FATAL_FAILURE(start(one));
  const auto is_first = std::make_shared<std::atomic<bool>>(true);
  const auto asked = std::make_shared<std::promise<void>>();
  std::promise<void> thought;  // at the end of the test
  requests_.on_each([is_first, asked, thinks = thought.get_future().share()](
                        std::string_view) -> std::optional<Refusal> {
    if (is_first->exchange(false)) {
      asked->set_value();
      thinks.wait();
    }
    return {};
  });
  std::promise<Result<Answer>> ended;
  const CallId slow =
      engine_->submit("s", "predict", {{"question", "Why?"}},
                      [&](Result<Answer> answer) { ended.set_value(std::move(answer)); },
                      {.timeout = std::chrono::minutes(5)});
  asked->get_future().wait();
  EXPECT_TRUE(engine_->cancel(slow));
  EXPECT_EQ(test::code_of(ended.get_future().get()), "cancelled");
  EXPECT_FALSE(call("s", "predict", {{"question", "And now?"}})["answer"].as_string().empty());
  EXPECT_EQ(engine_->stats().workers_lost, 0U);
}

TEST_F(DspyTest, ARateLimitIsToldWithItsPause) {
  ASSERT_NO_FATAL_FAILURE(start(config(1, 1)));
  requests_.on_each([](std::string_view) -> std::optional<Refusal> {
    return Refusal{.message = "slower", .code = "rate_limit_exceeded", .retry_after = "7"};
  });
  const auto answer = engine_->execute_in_session("s", "predict", {{"question", "Why?"}});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, "rate_limited");
  EXPECT_EQ(answer.error().category, ErrorCategory::kResourceError);
  EXPECT_TRUE(answer.error().retryable);
  EXPECT_EQ(answer.error().retry_after, std::chrono::seconds(7));
  EXPECT_EQ(answer.error().provider, "openai");
  EXPECT_EQ(answer.error().message.find(kKey), std::string::npos);
  EXPECT_THAT(requests_.take(), SizeIs(1));
}

class DspyDeploymentTest : public DspyTest {
 protected:
  void SetUp() override {
    Config all = config(2, 1);
    all.worker.settings = Value{{"programs", {{"learner", "dspy_deployment:Learner"}}},
                                {"tools", {{"look_up", "dspy_deployment:look_up"}}}};
    start(all);
  }
};

TEST_F(DspyDeploymentTest, ItsProgramsAreFoundAnonymouslyOnEveryWorker) {
  std::set<std::string> workers;
  while (workers.size() < 2) {
    const auto answer = engine_->execute_anonymous(
        "execute_program", {{"program_id", "learner"}, {"inputs", {{"question", "Why?"}}}},
        {.max_retries = 5});
    ASSERT_TRUE(answer) << answer.error().describe();
    EXPECT_FALSE(answer->value["outputs"]["answer"].as_string().empty());
    workers.emplace(answer->worker);
    const auto refused = engine_->execute_anonymous(
        "create_program", {{"id", "p"}, {"signature", "question -> answer"}}, {.max_retries = 5});
    EXPECT_EQ(test::code_of(refused), "session_required");
    // The others are as good: it is the last one's turn to be away.
    for (const WorkerHealth& worker : engine_->health_check().workers) {
      if (worker.worker == answer->worker) ::kill(worker.pid, SIGKILL);
    }
  }
}

TEST_F(DspyDeploymentTest, WhatAProgramLearnsMovesWithItsSession) {
  const Value args{{"program_id", "learner"}, {"inputs", {{"question", "Why is that?"}}}};
  const Value first = call("s", "execute_program", args);
  static_cast<void>(requests_.take());
  kill_all();
  call("s", "execute_program", args);
  const std::vector<std::string> bodies = requests_.take();
  ASSERT_FALSE(bodies.empty());
  const Result<Value> prompt = Value::parse_json(bodies.back());
  ASSERT_TRUE(prompt);
  EXPECT_EQ(messages_with(*prompt, "assistant", first["outputs"]["answer"].as_string()), 1);
  EXPECT_EQ(call("s", "get_program_info", {{"program_id", "learner"}})["demos"].as_int64(), 2);
}

TEST_F(DspyDeploymentTest, ItsToolsAreReactsAndNoOthers) {
  const Value refused_tools = Value::list({"os.system"});
  const auto refused = engine_->execute_in_session(
      "s", "create_program",
      {{"id", "p"}, {"signature", "q -> a"}, {"program_type", "react"}, {"tools", refused_tools}});
  EXPECT_EQ(test::code_of(refused), "tool_not_found");
  call("s", "create_program", {{"id", "p"}, {"signature", "q -> a"}, {"program_type", "react"}});
  call("s", "execute_program", {{"program_id", "p"}, {"inputs", {{"q", "Why?"}}}});
  const std::vector<std::string> bodies = requests_.take();
  ASSERT_FALSE(bodies.empty());
  EXPECT_THAT(bodies.front(), HasSubstr("Looks a question up."));
}

}  // namespace
}  // namespace dspool
