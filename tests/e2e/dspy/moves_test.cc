// Programs that go on elsewhere: what they ask the model, what they answer and what they leave in
// their session is to the byte what it is where nothing happens.
#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/dspy/dspy_pool.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

using test::messages_with;
using testing::ElementsAreArray;
using testing::SizeIs;

struct Program {
  std::string_view kind;  // empty: `predict` in a conversation
  std::string_view signature{};
  std::size_t asks = 1;  // the model, so often
};

struct Told {
  Value answer{};
  std::uint32_t attempts = 0;
  std::vector<std::string> asked{};  // bodies of requests to the model
  Value conversation{};
  Value state{};  // the program's
};

std::string text_in(const std::string& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

class DspyMoveTest : public test::DspyTest {
 protected:
  void prepare(const std::string& session, const Program& program) {
    call(session, "predict", {{"question", "What came before?"}});
    if (program.kind.empty()) return;
    const bool own = program.signature.empty();
    call(session, "create_program",
         {{"id", "p"},
          {"signature", own ? Value() : Value::of(program.signature)},
          {"program_type", program.kind}});
    call(session, "execute_program", {{"program_id", "p"}, {"inputs", {{"question", "First?"}}}});
  }

  // When it is asked for the `kill_at`th time, the model kills who asks instead of answering: after
  // all others, so that nobody is left who knows anything.
  Told run(const std::string& session, const Program& program, std::size_t kill_at) {
    prepare(session, program);
    static_cast<void>(requests_.take());
    std::atomic<std::size_t> asked{0};
    requests_.on_each([&](std::string_view body) {
      if (++asked == kill_at) {
        replace_idle_workers();
        kill_busy_workers();
      }
      return test::look_up_once(body);
    });
    const Value inputs{{"question", "And then?"}};
    const auto answer =
        program.kind.empty()
            ? engine_->execute_in_session(session, "predict", inputs, options_)
            : engine_->execute_in_session(session, "execute_program",
                                          {{"program_id", "p"}, {"inputs", inputs}}, options_);
    requests_.settle();
    requests_.on_each(test::look_up_once);
    EXPECT_TRUE(answer) << session << ": " << answer.error().describe();
    if (!answer) return {};
    Told told{.answer = program.kind.empty() ? answer->value : answer->value["outputs"].to_value(),
              .attempts = answer->attempts,
              .asked = requests_.take()};
    const auto fields = engine_->read_fields(session);
    EXPECT_TRUE(fields);
    told.conversation = fields->value["history"].to_value();
    told.state = fields->value["program:p"]["state"].to_value();
    return told;
  }
};

TEST_F(DspyMoveTest, AProgramThatIsKilledSaysTheSameElsewhere) {
  ASSERT_NO_FATAL_FAILURE(start(config(2, 1)));
  requests_.on_each(test::look_up_once);
  constexpr std::string_view kTyped = "question -> my-answer, score: int";
  for (const Program& program :
       {Program{.kind = ""}, Program{.kind = "predict", .signature = kTyped},
        Program{.kind = "predict", .signature = "question, talk: History -> answer"},
        Program{.kind = "chain_of_thought", .signature = kTyped},
        Program{.kind = "react", .signature = kTyped, .asks = 3},
        Program{.kind = "essay", .asks = 2}, Program{.kind = "learner"}}) {
    const std::string name = std::string(program.kind) + "(" + std::string(program.signature) + ")";
    SCOPED_TRACE(name);
    const Told quiet = run("quiet " + name, program, 0);
    EXPECT_EQ(quiet.attempts, 1U);
    ASSERT_THAT(quiet.asked, SizeIs(program.asks));
    const Told moved = run("moved " + name, program, program.asks);
    EXPECT_EQ(moved.attempts, 2U);
    std::vector<std::string> twice = quiet.asked;
    twice.insert(twice.end(), quiet.asked.begin(), quiet.asked.end());
    EXPECT_THAT(moved.asked, ElementsAreArray(twice));
    EXPECT_EQ(moved.answer.to_json(), quiet.answer.to_json());
    EXPECT_EQ(moved.conversation.to_json(), quiet.conversation.to_json());
    EXPECT_EQ(moved.state.to_json(), quiet.state.to_json());
    EXPECT_EQ(quiet.state.is_null(), program.kind != "learner") << "who has learned";
  }
}

// DSPy optimises a program by itself, saves it, loads it again and asks it a question. In a session
// it asks with the same prompt: where it was loaded, elsewhere, and when those workers are gone.
TEST_F(DspyMoveTest, AnOptimisedProgramGoesWithItsDemos) {
  constexpr std::string_view kQuestion = "What is a mutex?";
  ASSERT_NO_FATAL_FAILURE(start(config(2, 1)));
  const test::TemporaryDirectory directory;
  const std::string file = (directory.path() / "program.json").string();
  const std::string said = (directory.path() / "said").string();
  const std::string command = test::python() + " " + DSPOOL_TEST_ADAPTERS + "/optimise.py " +
                              model_->api_base() + " " + file + " '" + std::string(kQuestion) +
                              "' > " + said + " 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << text_in(said);
  const std::vector<Value> alone = take_prompts();
  ASSERT_FALSE(alone.empty());
  call("s", "create_program",
       {{"id", "p"}, {"signature", "question -> answer"}, {"program_type", "chain_of_thought"}});
  EXPECT_EQ(call("s", "load_program", {{"program_id", "p"}, {"state", text_in(file)}})["demos"]
                .as_int64(),
            3);
  const auto asked = [&] {
    const auto answer = engine_->execute_in_session(
        "s", "execute_program", {{"program_id", "p"}, {"inputs", {{"question", kQuestion}}}},
        options_);
    EXPECT_TRUE(answer) << answer.error().describe();
    return answer ? std::string(answer->worker) : std::string();
  };
  const std::string loaded_in = asked();
  ASSERT_NO_FATAL_FAILURE(move("s"));
  EXPECT_NE(asked(), loaded_in);
  replace_idle_workers();
  asked();
  const std::vector<Value> prompts = take_prompts();
  ASSERT_GE(prompts.size(), 3U);
  for (const Value& prompt : prompts) {
    EXPECT_EQ(prompt["messages"].to_json(), alone.back()["messages"].to_json());
    EXPECT_EQ(messages_with(prompt, "assistant", "[[ ## reasoning ## ]]"), 3) << "two bootstrapped";
    for (const char* const demo : {"What is a lock?", "What is a fence?", "What is a queue?"}) {
      EXPECT_EQ(messages_with(prompt, "user", demo), 1) << demo;
    }
  }
}

}  // namespace
}  // namespace dspool
