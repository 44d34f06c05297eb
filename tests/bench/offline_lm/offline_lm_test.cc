// Over real HTTP: what a client sees of the offline model.
#include "bench/offline_lm/offline_lm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <future>
#include <sstream>
#include <thread>
#include <vector>

#include "dspool/value.h"

namespace dspool::offline_lm {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::MatchesRegex;

constexpr const char* kPath = "/v1/chat/completions";
constexpr const char* kJson = "application/json";

std::unique_ptr<OfflineLm> start(const Options& options) {
  Result<std::unique_ptr<OfflineLm>> server = OfflineLm::start(options);
  EXPECT_TRUE(server) << server.error().message;
  return *std::move(server);
}

// As DSPy's ChatAdapter asks, with two output fields; `json` as its JSONAdapter does.
std::string dspy_prompt(std::string_view question, bool json) {
  const std::string system =
      "Your input fields are:\n1. `question` (str): \n"
      "Your output fields are:\n1. `reasoning` (str): \n2. `score` (int): \n"
      "All interactions will be structured in the following way.\n\n" +
      std::string(json ? "Outputs will be a JSON object with the following fields.\n" : "") +
      "[[ ## completed ## ]]\n";
  const std::string user = "[[ ## question ## ]]\n" + std::string(question) +
                           "\n\nRespond with the corresponding output fields.";
  return Value{{"model", "offline"},
               {"messages", Value::list({Value{{"role", "system"}, {"content", system}},
                                         Value{{"role", "user"}, {"content", user}}})}}
      .to_json();
}

std::string prompt(std::string_view question) {
  return Value{{"messages", Value::list({Value{{"role", "user"}, {"content", question}}})}}
      .to_json();
}

class OfflineLmTest : public testing::Test {
 protected:
  Value post(const std::string& body, int expected_status = 200) {
    const httplib::Result response = client_.Post(kPath, body, kJson);
    EXPECT_TRUE(response) << httplib::to_string(response.error());
    EXPECT_EQ(response->status, expected_status);
    EXPECT_EQ(response->get_header_value("Content-Type"), kJson);
    Result<Value> json = Value::parse_json(response->body);
    EXPECT_TRUE(json) << response->body;
    return *std::move(json);
  }

  std::string answer_to(const std::string& body) {
    return std::string(post(body)["choices"][0]["message"]["content"].as_string());
  }

  std::unique_ptr<OfflineLm> server_ = start({});
  httplib::Client client_{"127.0.0.1", server_->port()};
};

TEST_F(OfflineLmTest, AnswersInTheShapeOfAChatCompletion) {
  const Value answer = post(prompt("What is shared memory?"));
  EXPECT_EQ(answer["object"].as_string(), "chat.completion");
  EXPECT_EQ(answer["model"].as_string(), "offline");
  ASSERT_EQ(answer["choices"].size(), 1U);
  const ValueView choice = answer["choices"][0];
  EXPECT_EQ(choice["index"].as_int64(), 0);
  EXPECT_EQ(choice["finish_reason"].as_string(), "stop");
  EXPECT_EQ(choice["message"]["role"].as_string(), "assistant");
  const ValueView usage = answer["usage"];
  EXPECT_GT(usage["prompt_tokens"].as_int64(), 0);
  EXPECT_GT(usage["completion_tokens"].as_int64(), 0);
  EXPECT_EQ(usage["total_tokens"].as_int64(),
            usage["prompt_tokens"].as_int64() + usage["completion_tokens"].as_int64());
  EXPECT_EQ(server_->answered(), 1U);
}

TEST_F(OfflineLmTest, MentionsWordsOfTheQuestion) {
  EXPECT_THAT(answer_to(prompt("Compare volcanoes with glaciers")),
              ContainsRegex("volcanoes|glaciers"));
}

TEST_F(OfflineLmTest, SaysTheSameToTheSamePromptAndSeed) {
  const std::string question = prompt("What is shared memory good for in databases?");
  const std::string answer = answer_to(question);
  EXPECT_EQ(answer_to(question), answer);
  EXPECT_NE(answer_to(prompt("What is shared memory bad for in databases?")), answer);

  const std::unique_ptr<OfflineLm> same = start({});
  EXPECT_EQ(httplib::Client("127.0.0.1", same->port()).Post(kPath, question, kJson)->body,
            client_.Post(kPath, question, kJson)->body);
  const std::unique_ptr<OfflineLm> other = start({.seed = 1});
  EXPECT_NE(httplib::Client("127.0.0.1", other->port()).Post(kPath, question, kJson)->body,
            client_.Post(kPath, question, kJson)->body);
}

TEST_F(OfflineLmTest, GivesDspysChatAdapterItsSections) {
  EXPECT_THAT(answer_to(dspy_prompt("What is it?", /*json=*/false)),
              MatchesRegex("\\[\\[ ## reasoning ## \\]\\]\n[^\n]+\n\n"
                           "\\[\\[ ## score ## \\]\\]\n[0-9]+\n\n"
                           "\\[\\[ ## completed ## \\]\\]\n"));
}

TEST_F(OfflineLmTest, GivesDspysJsonAdapterAnObject) {
  const Result<Value> fields = Value::parse_json(answer_to(dspy_prompt("What is it?", true)));
  ASSERT_TRUE(fields) << fields.error().message;
  EXPECT_EQ(fields->size(), 2U);
  EXPECT_EQ((*fields)["reasoning"].kind(), Kind::kString);
  EXPECT_EQ((*fields)["score"].kind(), Kind::kInt);
}

TEST_F(OfflineLmTest, GivesAsManyChoicesAsAskedFor) {
  const Value answer = post(R"({"messages": [{"role": "user",
      "content": "Compare volcanoes, glaciers, deserts and forests"}], "n": 3})");
  ASSERT_EQ(answer["choices"].size(), 3U);
  EXPECT_NE(answer["choices"][0]["message"]["content"].as_string(),
            answer["choices"][1]["message"]["content"].as_string());
}

TEST_F(OfflineLmTest, StreamsTheSameAnswerWordByWord) {
  std::string body = dspy_prompt("What is it?", /*json=*/false);
  const std::string whole = answer_to(body);
  body.replace(0, 1, R"({"stream": true, )");
  const httplib::Result response = client_.Post(kPath, body, kJson);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->get_header_value("Content-Type"), "text/event-stream");
  std::istringstream lines(response->body);
  std::string text;
  std::string last;
  int events = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("data: ")) continue;
    last = line.substr(6);
    const Result<Value> event = Value::parse_json(last);
    if (!event) continue;
    text += (*event)["choices"][0]["delta"]["content"].as_string();
    ++events;
  }
  EXPECT_EQ(text, whole);
  EXPECT_GT(events, 5);
  EXPECT_EQ(last, "[DONE]");
}

TEST_F(OfflineLmTest, RefusesWhatItIsToldTo) {
  const std::unique_ptr<OfflineLm> busy =
      start({.on_request = [](std::string_view body) -> std::optional<Refusal> {
        if (body.find("Hello") == std::string_view::npos) return {};
        return Refusal{.message = "slower", .code = "rate_limit_exceeded", .retry_after = "3"};
      }});
  httplib::Client client("127.0.0.1", busy->port());
  const httplib::Result refused = client.Post(kPath, prompt("Hello"), kJson);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 429);
  EXPECT_EQ(refused->get_header_value("Retry-After"), "3");
  EXPECT_THAT(refused->body, HasSubstr("rate_limit_exceeded"));
  EXPECT_EQ(client.Post(kPath, prompt("Why?"), kJson)->status, 200);
}

TEST_F(OfflineLmTest, SaysOrBreaksWhatItIsToldTo) {
  const std::unique_ptr<OfflineLm> told =
      start({.on_request = [](std::string_view body) -> std::optional<Instead> {
        if (body.find("Say") != std::string_view::npos) return Words{.text = "as told"};
        if (body.find("Cut") != std::string_view::npos) return Fault::kCut;
        return Fault::kNoJson;
      }});
  httplib::Client client("127.0.0.1", told->port());
  const httplib::Result said = client.Post(kPath, prompt("Say"), kJson);
  ASSERT_TRUE(said);
  EXPECT_EQ((*Value::parse_json(said->body))["choices"][0]["message"]["content"].as_string(),
            "as told");
  EXPECT_FALSE(client.Post(kPath, prompt("Cut"), kJson));
  const httplib::Result broken = client.Post(kPath, prompt("Hello"), kJson);
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->status, 200);
  EXPECT_FALSE(Value::parse_json(broken->body));
  EXPECT_EQ(told->answered(), 1U);
}

TEST_F(OfflineLmTest, RefusesAMalformedRequestAsOpenAiDoes) {
  for (const char* const body : {"", "{", "[]", "{}", "{\"messages\": 1}"}) {
    const Value answer = post(body, 400);
    EXPECT_EQ(answer["error"]["type"].as_string(), "invalid_request_error") << body;
    EXPECT_FALSE(answer["error"]["message"].as_string().empty()) << body;
    EXPECT_TRUE(answer["error"].contains("code")) << body;
  }
  EXPECT_EQ(server_->answered(), 0U);
}

TEST_F(OfflineLmTest, ListsItsModel) {
  const httplib::Result response = client_.Get("/v1/models");
  ASSERT_TRUE(response);
  const Result<Value> models = Value::parse_json(response->body);
  ASSERT_TRUE(models);
  EXPECT_EQ((*models)["data"][0]["id"].as_string(), "offline");
}

TEST_F(OfflineLmTest, SaysWhatItHasWhereSomethingElseIsAskedFor) {
  const httplib::Result response = client_.Post("/v1/completions", "{}", kJson);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 404);
  const Result<Value> answer = Value::parse_json(response->body);
  ASSERT_TRUE(answer);
  EXPECT_THAT(std::string((*answer)["error"]["message"].as_string()),
              HasSubstr("POST /v1/chat/completions"));
}

// Each client keeps its connection open for its later requests, while all the others are open.
TEST_F(OfflineLmTest, ServesManyConnectionsThatAreKept) {
  constexpr int kClients = 100;
  std::vector<std::unique_ptr<httplib::Client>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<httplib::Client>("127.0.0.1", server_->port()));
    clients.back()->set_keep_alive(true);
    clients.back()->set_read_timeout(std::chrono::minutes(1));  // a busy machine is no failure
  }
  for (int round = 0; round < 2; ++round) {
    std::vector<std::future<std::string>> outcomes;
    outcomes.reserve(kClients);
    for (const auto& client : clients) {
      outcomes.push_back(std::async(std::launch::async, [&client] {
        const httplib::Result response = client->Post(kPath, prompt("Hello there"), kJson);
        return response ? std::to_string(response->status) : httplib::to_string(response.error());
      }));
    }
    for (std::future<std::string>& outcome : outcomes) EXPECT_EQ(outcome.get(), "200");
  }
  EXPECT_EQ(server_->answered(), 2U * kClients);
}

TEST_F(OfflineLmTest, TakesItsTimeWhereThatIsAskedFor) {
  const std::unique_ptr<OfflineLm> slow =
      start({.median_latency = std::chrono::milliseconds(50), .sigma = 0});
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(httplib::Client("127.0.0.1", slow->port()).Post(kPath, prompt("Hello"), kJson));
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(50));
}

// A minute's thought, and a connection that is kept: neither keeps the server from stopping.
TEST_F(OfflineLmTest, StopsAtOnce) {
  std::unique_ptr<OfflineLm> slow = start({.median_latency = std::chrono::minutes(1), .sigma = 0});
  httplib::Client idle("127.0.0.1", slow->port());
  idle.set_keep_alive(true);
  ASSERT_TRUE(idle.Get("/v1/models"));
  std::promise<void> asking;
  std::thread waiting([&, port = slow->port()] {
    httplib::Client client("127.0.0.1", port);
    client.set_read_timeout(std::chrono::minutes(1));
    asking.set_value();
    const httplib::Result response = client.Post(kPath, prompt("Hello"), kJson);
    EXPECT_TRUE(!response || response->status == 503);
  });
  asking.get_future().wait();
  slow.reset();
  waiting.join();
}

TEST_F(OfflineLmTest, SaysThatAPortIsTaken) {
  const Result<std::unique_ptr<OfflineLm>> second = OfflineLm::start({.port = server_->port()});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, "listen_failed");
  EXPECT_THAT(second.error().message, HasSubstr(std::to_string(server_->port())));
}

TEST_F(OfflineLmTest, TellsItsBase) {
  EXPECT_EQ(server_->api_base(), "http://127.0.0.1:" + std::to_string(server_->port()) + "/v1");
}

}  // namespace
}  // namespace dspool::offline_lm
