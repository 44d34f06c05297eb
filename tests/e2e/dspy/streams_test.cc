// What listeners hear of real DSPy, and who waits for a model: many at once, and nobody in vain.
#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/e2e/dspy/dspy_pool.h"

namespace dspool {
namespace {

using offline_lm::Instead;
using offline_lm::Refusal;

class DspyStreamTest : public test::DspyTest {};

TEST_F(DspyStreamTest, AListenerHearsTheAnswerAsItComes) {
  ASSERT_NO_FATAL_FAILURE(start(config(1, 2)));
  call("s", "create_program",
       {{"id", "p"}, {"signature", "question -> my-answer"}, {"program_type", "chain_of_thought"}});
  std::map<std::string, std::string> heard;
  std::uint64_t chunks = 0;
  CallOptions options = options_;
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
  const auto silent = engine_->execute_in_session("s", "execute_program", args, options_);
  ASSERT_TRUE(silent) << silent.error().describe();
  EXPECT_EQ(silent->value["outputs"]["my-answer"].as_string(), heard["my-answer"]);
  EXPECT_EQ(silent->usage.output_tokens, streamed->usage.output_tokens);
}

// Its caller has heard enough: what it throws cancels the call, and nothing of it is remembered.
// The answer has more words than chunks may wait for a listener: it cannot end before.
TEST_F(DspyStreamTest, AListenerThatGoesAwayEndsTheAnswer) {
  ASSERT_NO_FATAL_FAILURE(start(config(1, 1)));
  std::string words = "[[ ## answer ## ]]\n";
  for (int i = 0; i < 500; ++i) words.append("because ");
  requests_.on_each([words](std::string_view) { return offline_lm::Words{words}; });
  CallOptions options{.timeout = std::chrono::minutes(2)};
  options.on_chunk = [](const Chunk&) { throw std::runtime_error("enough"); };
  const auto answer = engine_->execute_in_session("s", "predict", {{"question", "Why?"}}, options);
  EXPECT_EQ(test::code_of(answer), "cancelled");
  call("s", "predict", {{"question", "And why is that?"}});
  const std::vector<Value> prompts = take_prompts();
  ASSERT_FALSE(prompts.empty());
  EXPECT_EQ(prompts.back()["messages"].size(), 2U) << "a system's and the question";
}

// The model goes on thinking about a call that was cancelled: its session and its worker do not.
TEST_F(DspyStreamTest, ACancelledCallEndsWithoutItsModel) {
  Config one = config(1, 2);
  one.worker.cancel_grace =
      std::chrono::minutes(5);  // a call that is killed instead hangs its test
  ASSERT_NO_FATAL_FAILURE(start(one));
  const auto is_first = std::make_shared<std::atomic<bool>>(true);
  const auto asked = std::make_shared<std::promise<void>>();
  const auto ended = std::make_shared<std::promise<Result<Answer>>>();
  std::promise<void> thought;  // at the end of the test
  requests_.on_each([is_first, asked, thinks = thought.get_future().share()](
                        std::string_view) -> std::optional<Instead> {
    if (is_first->exchange(false)) {
      asked->set_value();
      thinks.wait();
    }
    return {};
  });
  const CallId slow =
      engine_->submit("s", "predict", {{"question", "Why?"}},
                      [ended](Result<Answer> answer) { ended->set_value(std::move(answer)); },
                      {.timeout = std::chrono::minutes(5)});
  asked->get_future().wait();
  EXPECT_TRUE(engine_->cancel(slow));
  EXPECT_EQ(test::code_of(ended->get_future().get()), "cancelled");
  EXPECT_FALSE(call("s", "predict", {{"question", "And now?"}})["answer"].as_string().empty());
  EXPECT_EQ(engine_->stats().workers_lost, 0U);
}

// The model answers nobody before 64 have asked: 32 in flight in each of two workers.
TEST_F(DspyStreamTest, SessionsWaitForTheModelAtOnce) {
  constexpr int kSessions = 64;
  ASSERT_NO_FATAL_FAILURE(start(config(2, kSessions / 2)));
  std::mutex mutex;
  std::condition_variable all;
  int waiting = 0;
  requests_.on_each([&](std::string_view) -> std::optional<Instead> {
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
  requests_.settle();
  EXPECT_THAT(outcomes, testing::Each("ok"));
}

}  // namespace
}  // namespace dspool
