#include "tests/e2e/dspy/dspy_pool.h"

#include <algorithm>
#include <csignal>
#include <thread>
#include <utility>

namespace dspool::test {
namespace {

std::string text_of(ValueView message) {
  const ValueView content = message["content"];
  if (content.kind() != Kind::kList) return std::string(content.as_string());
  std::string text;
  for (std::size_t i = 0; i < content.size(); ++i) text += content[i]["text"].as_string();
  return text;
}

}  // namespace

void ModelRequests::on_each(Handler handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

void ModelRequests::settle() {
  std::unique_lock lock(mutex_);
  handler_ = {};
  settled_.wait(lock, [&] { return running_ == 0; });
}

std::vector<std::string> ModelRequests::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(bodies_, {});
}

std::optional<offline_lm::Instead> ModelRequests::add(std::string_view body) {
  Handler handler;
  {
    const std::lock_guard lock(mutex_);
    bodies_.emplace_back(body);
    if (!handler_) return {};
    handler = handler_;
    ++running_;
  }
  std::optional<offline_lm::Instead> instead = handler(body);
  const std::lock_guard lock(mutex_);
  if (--running_ == 0) settled_.notify_all();
  return instead;
}

Config DspyTest::config(std::uint32_t workers, std::uint32_t max_in_flight) {
  Config config = pool_config(workers, "dspool_worker.adapters.dspy:Dspy");
  config.worker.start_method = StartMethod::kForkServer;
  config.worker.max_in_flight = max_in_flight;
  config.worker.max_restarts = 0;
  config.worker.settings = Value{
      {"programs", {{"essay", "dspy_deployment:Essay"}, {"learner", "dspy_deployment:Learner"}}},
      {"tools", {{"look_up", "dspy_deployment:look_up"}}}};
  return config;
}

void DspyTest::start(const Config& config) {
  auto model = offline_lm::OfflineLm::start(
      {.on_request = [this](std::string_view body) { return requests_.add(body); }});
  ASSERT_TRUE(model) << model.error().describe();
  model_ = *std::move(model);
  engine_ = start_pool(config);
  ASSERT_NE(engine_, nullptr);
  const auto set = engine_->execute_anonymous("set_lm", model_args("openai/offline"));
  ASSERT_TRUE(set) << set.error().describe();
}

Value DspyTest::model_args(std::string_view model) const {
  return {{"model", model}, {"api_base", model_->api_base()}, {"api_key", kModelKey}};
}

Value DspyTest::call(std::string_view session, std::string_view command, const Value& args) {
  const auto answer = engine_->execute_in_session(session, command, args, options_);
  EXPECT_TRUE(answer) << command << ": " << answer.error().describe();
  return answer ? answer->value : Value();
}

Value DspyTest::call_until_answered(std::string_view session, std::string_view command,
                                    const Value& args) {
  while (true) {
    const auto answer = engine_->execute_in_session(session, command, args, options_);
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

void DspyTest::move(std::string_view session) {
  const auto info = engine_->get_session(session);
  ASSERT_TRUE(info) << info.error().describe();
  for (const WorkerHealth& worker : engine_->health().workers) {
    if (worker.worker == info->warm_worker) continue;
    const auto moved = engine_->migrate_session(session, worker.worker, std::chrono::minutes(1));
    ASSERT_TRUE(moved) << moved.error().describe();
    return;
  }
  ADD_FAILURE() << "there is no other worker";
}

void DspyTest::kill_busy_workers() {
  for (const WorkerHealth& worker : engine_->health().workers) {
    if (worker.in_flight > 0) ::kill(worker.pid, SIGKILL);
  }
}

void DspyTest::replace_idle_workers() {
  EXPECT_TRUE(engine_->wait_until_ready(std::chrono::minutes(2)));
  for (const WorkerHealth& old : engine_->health().workers) {
    if (old.in_flight > 0) continue;
    if (old.pid > 0) ::kill(old.pid, SIGKILL);
    const auto replaced = [&](const WorkerHealth& worker) {
      return worker.worker == old.worker && worker.epoch != old.epoch &&
             worker.status == WorkerStatus::kIdle;
    };
    while (std::ranges::none_of(engine_->health().workers, replaced)) std::this_thread::yield();
  }
}

std::vector<Value> DspyTest::take_prompts() {
  const std::vector<std::string> bodies = requests_.take();
  std::vector<Value> prompts;
  prompts.reserve(bodies.size());
  for (const std::string& body : bodies) {
    Result<Value> prompt = Value::parse_json(body);
    EXPECT_TRUE(prompt) << body;
    if (prompt) prompts.push_back(*std::move(prompt));
  }
  return prompts;
}

int messages_with(ValueView prompt, std::string_view role, std::string_view text) {
  int count = 0;
  const ValueView messages = prompt["messages"];
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (messages[i]["role"].as_string() != role) continue;
    if (text_of(messages[i]).find(text) != std::string::npos) ++count;
  }
  return count;
}

std::string last_message(ValueView prompt) {
  const ValueView messages = prompt["messages"];
  return messages.size() == 0 ? "" : text_of(messages[messages.size() - 1]);
}

std::string as_shown(std::string_view field, std::string_view text) {
  return "[[ ## " + std::string(field) + " ## ]]\n" + std::string(text) + "\n";
}

std::optional<offline_lm::Instead> look_up_once(std::string_view body) {
  if (body.find("next_tool_name") == std::string_view::npos) return {};
  const bool looked = body.find("observation_0") != std::string_view::npos;
  return offline_lm::Words{
      .text = as_shown("next_thought", "Let us see.") +
              as_shown("next_tool_name", looked ? "finish" : "look_up") +
              as_shown("next_tool_args", looked ? "{}" : R"({"question": "rings"})") +
              "[[ ## completed ## ]]\n"};
}

}  // namespace dspool::test
