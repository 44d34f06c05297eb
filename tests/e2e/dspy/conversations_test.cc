// Conversations with real DSPy: what was said goes along with the next turn, once, whatever becomes
// of the workers.
#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/dspy/dspy_pool.h"
#include "tests/support/seed.h"

namespace dspool {
namespace {

using test::as_shown;
using test::DspyTest;
using test::last_message;
using test::messages_with;
using testing::SizeIs;

// The ways in which a session converses: with the history that `predict` adds, with a signature
// that has a field for it, and with a program of such a signature.
enum class Form : std::uint8_t { kPlain, kHistoryField, kProgram };
constexpr std::array kForms = {Form::kPlain, Form::kHistoryField, Form::kProgram};
constexpr const char* kSignature = "question, talk: dspy.History -> answer";

struct Conversation {
  std::string session;
  Form form = Form::kPlain;
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
         .form = kForms.at(conversations.size() % kForms.size()),
         .turns = {std::string(turns[0].as_string()), std::string(turns[1].as_string())}});
  }
  return conversations;
}

class DspyConversationTest : public DspyTest {
 protected:
  void begin(const Conversation& conversation) {
    if (conversation.form != Form::kProgram) return;
    call_until_answered(
        conversation.session, "create_program",
        {{"id", "talk"}, {"signature", kSignature}, {"program_type", "chain_of_thought"}});
  }

  std::string say(const Conversation& conversation, std::string_view turn) {
    const auto said = [&](std::string_view command, const Value& args) {
      return call_until_answered(conversation.session, command, args);
    };
    switch (conversation.form) {
      case Form::kPlain:
        return std::string(said("predict", {{"question", turn}})["answer"].as_string());
      case Form::kHistoryField:
        return std::string(
            said("predict", {{"signature", kSignature}, {"question", turn}})["answer"].as_string());
      case Form::kProgram:
        break;
    }
    const Value answer =
        said("execute_program", {{"program_id", "talk"}, {"inputs", {{"question", turn}}}});
    return std::string(answer["outputs"]["answer"].as_string());
  }

  // The prompt of a turn has all that was said before, once, and then the question.
  static void expect_all_before(const Value& prompt, const Conversation& conversation,
                                std::size_t turn) {
    EXPECT_EQ(prompt["messages"].size(), 2 * turn + 2) << "the system's, two a turn, the question";
    for (std::size_t i = 0; i < turn; ++i) {
      EXPECT_EQ(messages_with(prompt, "user", as_shown("question", conversation.turns[i])), 1)
          << conversation.session;
      EXPECT_EQ(messages_with(prompt, "assistant", conversation.answers[i]), 1)
          << conversation.session;
    }
  }
};

// Between the turns the session moves to another worker, and then all workers are killed.
TEST_F(DspyConversationTest, IsRememberedWhereverItGoesOn) {
  ASSERT_NO_FATAL_FAILURE(start(config(2, 1)));
  for (const Form form : kForms) {
    Conversation conversation{
        .session = "s" + std::to_string(static_cast<int>(form)),
        .form = form,
        .turns = {"Hello, I'm starting a conversation", "Can you remember what I just said?",
                  "Now summarize our entire conversation"}};
    begin(conversation);
    for (std::size_t turn = 0; turn < conversation.turns.size(); ++turn) {
      conversation.answers.push_back(say(conversation, conversation.turns[turn]));
      const std::vector<Value> prompts = take_prompts();
      ASSERT_FALSE(prompts.empty());
      expect_all_before(prompts.back(), conversation, turn);
      if (turn == 0) {
        ASSERT_NO_FATAL_FAILURE(move(conversation.session));
      }
      if (turn == 1) replace_idle_workers();
    }
  }
}

// Eight callers hold all conversations, while a worker is killed for every eighth answer.
TEST_F(DspyConversationTest, EachSecondTurnHoldsTheFirstOnceThoughWorkersAreKilled) {
  std::vector<Conversation> conversations = mt_bench();
  if (conversations.empty()) GTEST_SKIP() << "there is no MT-Bench in " << DSPOOL_DATA_DIR;
  ASSERT_THAT(conversations, SizeIs(80));
  ASSERT_NO_FATAL_FAILURE(start(config(2, 4)));
  std::mt19937_64 draw(test::test_seed());
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
          begin(conversation);
          for (const std::string& turn : conversation.turns) {
            conversation.answers.push_back(say(conversation, turn));
            if (++answered % 8 != 0) continue;
            const auto workers = engine_->health().workers;
            const std::lock_guard lock(drawing);
            const int pid = workers.at(draw() % workers.size()).pid;
            if (pid > 0) ::kill(pid, SIGKILL);
          }
        }
      });
    }
  }
  EXPECT_GT(engine_->stats().worker_restarts, 0U);

  const std::vector<Value> prompts = take_prompts();
  for (const Conversation& conversation : conversations) {
    const std::string first = as_shown("question", conversation.turns[0]);
    const std::string second = as_shown("question", conversation.turns[1]);
    int asked = 0;
    for (const Value& prompt : prompts) {
      if (messages_with(prompt, "user", first) == 0) continue;
      if (last_message(prompt).find(second) == std::string::npos) continue;
      ++asked;
      expect_all_before(prompt, conversation, 1);
    }
    EXPECT_GE(asked, 1) << conversation.session;
  }
}

}  // namespace
}  // namespace dspool
