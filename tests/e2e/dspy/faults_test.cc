// What a language model does wrong over HTTP, as callers of a pool are told of it: the table in
// python_worker/README.md, row by row.
#include <gmock/gmock.h>

#include <future>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/dspy/dspy_pool.h"

namespace dspool {
namespace {

using offline_lm::Fault;
using offline_lm::Instead;
using offline_lm::Refusal;
using offline_lm::Words;
using test::code_of;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

struct Row {
  Instead fault;
  std::string_view code;
  ErrorCategory category = ErrorCategory::kPython;
  bool retryable = false;
  bool counts = false;  // for the provider's breaker
};

std::vector<Row> rows() {
  const auto refused = [](int status, std::string code) {
    return Refusal{.status = status, .message = "not this time", .code = std::move(code)};
  };
  return {
      {.fault = refused(429, "rate_limit_exceeded"),
       .code = "rate_limited",
       .category = ErrorCategory::kResourceError,
       .retryable = true,
       .counts = true},
      {.fault = refused(401, "invalid_api_key"), .code = "authentication_failed"},
      {.fault = refused(402, "billing_error"), .code = "billing_failed"},
      {.fault = refused(403, "forbidden"), .code = "authentication_failed"},
      {.fault = refused(404, "model_not_found"), .code = "model_not_found"},
      {.fault = refused(400, "unknown_parameter"), .code = "model_refused"},
      {.fault = refused(400, "context_length_exceeded"), .code = "context_length_exceeded"},
      {.fault = refused(500, "server_error"),
       .code = "model_unavailable",
       .category = ErrorCategory::kConnection,
       .retryable = true,
       .counts = true},
      {.fault = Fault::kCut,
       .code = "model_unreachable",
       .category = ErrorCategory::kConnection,
       .retryable = true,
       .counts = true},
      {.fault = Fault::kNoJson,
       .code = "malformed_response",
       .category = ErrorCategory::kConnection,
       .retryable = true,
       .counts = true},
      {.fault = Words{.text = "I would rather not."},
       .code = "malformed_answer",
       .retryable = true},
  };
}

class DspyFaultTest : public test::DspyTest {
 protected:
  static Config breaker_config() {
    Config all = config(1, 1);
    all.circuit_breaker.enabled = true;
    all.circuit_breaker.failure_threshold = 3;
    all.circuit_breaker.timeout = std::chrono::hours(1);
    all.retry.base_delay = std::chrono::milliseconds(1);
    return all;
  }
  void do_always(const Instead& fault) {
    requests_.on_each([fault](std::string_view) { return fault; });
  }
  // Of a call that might be repeated once, when the one before had been answered.
  void expect_told(const Row& row, const Result<Answer>& failed) const {
    ASSERT_FALSE(failed);
    const Error& error = failed.error();
    EXPECT_EQ(error.code, row.code) << error.describe();
    EXPECT_EQ(error.category, row.category);
    EXPECT_EQ(error.retryable, row.retryable);
    EXPECT_EQ(error.state_applied, StateApplied::kNo);
    EXPECT_EQ(error.retry_after, std::nullopt);
    EXPECT_EQ(error.attempts, row.retryable ? 2U : 1U);
    EXPECT_EQ(error.provider, row.counts ? "openai" : "");
    EXPECT_EQ(provider().failures, row.counts ? error.attempts : 0U);
    EXPECT_THAT(error.describe() + error.traceback, Not(HasSubstr(test::kModelKey)));
  }
  [[nodiscard]] BreakerInfo provider() const {
    for (BreakerInfo& each : engine_->breakers()) {
      if (each.name == "openai") return each;
    }
    return {};
  }

  const Value question_{{"question", "Why?"}};
};

TEST_F(DspyFaultTest, AreToldAsTheTableSays) {
  ASSERT_NO_FATAL_FAILURE(start(breaker_config()));
  std::string session = "s";
  for (const bool listens : {false, true}) {
    CallOptions twice{.timeout = std::chrono::minutes(2), .max_retries = 1};
    if (listens) twice.on_chunk = [](const Chunk&) {};
    for (const Row& row : rows()) {
      SCOPED_TRACE(std::string(row.code) + (listens ? " to a listener" : ""));
      session += "s";
      do_always(row.fault);
      const auto failed = engine_->execute_in_session(session, "predict", question_, twice);
      ASSERT_NO_FATAL_FAILURE(expect_told(row, failed));
      // DSPy asks a second time, for JSON, where nobody has heard the first answer.
      const bool again = row.code == "malformed_answer" && !listens;
      EXPECT_THAT(requests_.take(), SizeIs(failed.error().attempts * (again ? 2 : 1)));
      // The next one is as good as ever, and knows nothing of what has failed.
      requests_.on_each({});
      call(session, "predict", question_);
      const std::vector<Value> prompts = take_prompts();
      ASSERT_THAT(prompts, SizeIs(1));
      EXPECT_EQ(prompts[0]["messages"].size(), 2U) << "a system's and the question";
      EXPECT_EQ(provider().failures, 0U);
    }
  }
  ASSERT_TRUE(engine_->set_session_lm(
      "nowhere", LanguageModel{.model = "openai/offline", .api_base = "http://127.0.0.1:1/v1"}));
  const auto failed = engine_->execute_in_session(
      "nowhere", "predict", question_, {.timeout = std::chrono::minutes(2), .max_retries = 1});
  expect_told({.fault = {},
               .code = "model_unreachable",
               .category = ErrorCategory::kConnection,
               .retryable = true,
               .counts = true},
              failed);
}

// A provider that asks for patience gets it: no retry that the deadline leaves no time for, and
// after so many refusals no request at all.
TEST_F(DspyFaultTest, ARateLimitIsToldWithItsPauseAndOpensTheBreaker) {
  ASSERT_NO_FATAL_FAILURE(start(breaker_config()));
  do_always(Refusal{.message = "slower", .code = "rate_limit_exceeded", .retry_after = "700"});
  for (std::uint32_t i = 1; i <= 3; ++i) {
    const auto limited = engine_->execute_in_session("s", "predict", question_, options_);
    ASSERT_FALSE(limited);
    EXPECT_EQ(limited.error().code, "rate_limited");
    EXPECT_EQ(limited.error().retry_after, std::chrono::seconds(700));
    EXPECT_EQ(limited.error().attempts, 1U);
    EXPECT_EQ(provider().failures, i);
  }
  EXPECT_THAT(requests_.take(), SizeIs(3));
  EXPECT_EQ(provider().state, BreakerState::kOpen);
  EXPECT_THAT(provider().last_failure, HasSubstr("rate_limited"));
  requests_.on_each({});
  const auto refused = engine_->execute_in_session("s", "predict", question_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "circuit_open");
  EXPECT_THAT(refused.error().message, HasSubstr("openai"));
  EXPECT_THAT(requests_.take(), IsEmpty());
  call("s", "list_programs", {});  // that asks no model
  ASSERT_TRUE(engine_->close_breaker("openai"));
  call("s", "predict", question_);
}

// The model says nothing at all. What a call had left of its deadline is the request's timeout, so
// its worker is free again soon, and lives.
TEST_F(DspyFaultTest, AModelThatIsSilentCostsTheCallAndNotItsWorker) {
  Config all = breaker_config();
  all.circuit_breaker.failure_threshold = 1'000;
  all.worker.cancel_grace = std::chrono::minutes(10);
  ASSERT_NO_FATAL_FAILURE(start(all));
  const int pid = engine_->health().workers.at(0).pid;
  do_always(Refusal{.status = 500, .message = "so that it is known who is asked"});
  EXPECT_EQ(code_of(engine_->execute_in_session("s", "predict", question_,
                                                {.timeout = std::chrono::minutes(2)})),
            "model_unavailable");
  requests_.on_each({});
  call("other", "predict", question_);
  EXPECT_EQ(provider().failures, 0U);
  static_cast<void>(requests_.take());

  std::promise<void> end;
  const std::shared_future<void> ended = end.get_future().share();
  requests_.on_each([ended](std::string_view) -> std::optional<Instead> {
    ended.wait();
    return {};
  });
  std::vector<std::string> asked;
  while (asked.empty()) {  // a call may end before it comes to that
    const auto late = engine_->execute_in_session("s", "predict", question_,
                                                  {.timeout = std::chrono::seconds(1)});
    ASSERT_FALSE(late);
    // Both come at the same time, and the engine looks at the one or the other first.
    EXPECT_THAT(late.error().code, AnyOf("deadline_exceeded", "model_timeout"));
    EXPECT_EQ(late.error().category, ErrorCategory::kTimeout);
    asked = requests_.take();
  }
  EXPECT_GE(provider().failures, 1U);
  requests_.on_each({});
  call("s", "predict", question_);
  const std::vector<Value> prompts = take_prompts();
  ASSERT_FALSE(prompts.empty());
  EXPECT_EQ(prompts.back()["messages"].size(), 2U) << "a system's and the question";
  EXPECT_EQ(engine_->health().workers.at(0).pid, pid);
  EXPECT_EQ(engine_->stats().workers_lost, 0U);
  end.set_value();
}

}  // namespace
}  // namespace dspool
