// Programs that go on elsewhere: what they ask the model, what they answer and what they leave in
// their session is to the byte what it is where nothing happens.
#include <gmock/gmock.h>

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/dspy/dspy_pool.h"

namespace dspool {
namespace {

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

}  // namespace
}  // namespace dspool
