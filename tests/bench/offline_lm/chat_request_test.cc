#include "bench/offline_lm/chat_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dspool::offline_lm {
namespace {

using testing::HasSubstr;

std::string error_of(std::string_view body) {
  const Result<ChatRequest> request = ChatRequest::parse(body);
  return request ? "no error" : request.error().message;
}

TEST(ChatRequestTest, FindsTheLastQuestionWithoutMarkers) {
  const Result<ChatRequest> request = ChatRequest::parse(R"({"messages": [
      {"role": "user", "content": "first"},
      {"role": "assistant", "content": "an answer"},
      {"role": "user", "content": "[[ ## question ## ]]\nWhat is it?\n\nRespond with the fields"}
  ]})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->question, "What is it?\n\n");
}

TEST(ChatRequestTest, JoinsAContentInParts) {
  const Result<ChatRequest> request = ChatRequest::parse(R"({"messages": [{"role": "user",
      "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]}]})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->question, "one two\n");
}

TEST(ChatRequestTest, HashesEveryMessageAndItsRole) {
  const auto hash = [](std::string_view messages) {
    return ChatRequest::parse(std::string(R"({"messages": )").append(messages).append("}"))
        ->prompt_hash;
  };
  const auto base =
      hash(R"([{"role": "system", "content": "a"}, {"role": "user", "content": "b"}])");
  EXPECT_EQ(base,
            hash(R"([{"content": "a", "role": "system"}, {"content": "b", "role": "user"}])"));
  EXPECT_NE(base,
            hash(R"([{"role": "system", "content": "x"}, {"role": "user", "content": "b"}])"));
  EXPECT_NE(base, hash(R"([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])"));
  EXPECT_NE(base,
            hash(R"([{"role": "system", "content": "ab"}, {"role": "user", "content": ""}])"));
}

TEST(ChatRequestTest, WantsJsonWhereOneOfTheTwoSignsIsThere) {
  EXPECT_FALSE(
      ChatRequest::parse(R"({"messages": [{"role": "user", "content": "a"}]})")->wants_json);
  EXPECT_TRUE(ChatRequest::parse(R"({"messages": [{"role": "user", "content": "a"}],
      "response_format": {"type": "json_object"}})")
                  ->wants_json);
  EXPECT_TRUE(ChatRequest::parse(R"({"messages": [{"role": "system",
      "content": "Outputs will be a JSON object with the following fields."}]})")
                  ->wants_json);
}

TEST(ChatRequestTest, RefusesWhatItCannotAnswer) {
  EXPECT_THAT(error_of("{"), HasSubstr("line 1"));
  EXPECT_THAT(error_of("[]"), HasSubstr("must be a JSON object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("'messages' must be a list"));
  EXPECT_THAT(error_of(R"({"messages": []})"), HasSubstr("at least one message"));
  EXPECT_THAT(error_of(R"({"messages": [{"content": "a"}]})"), HasSubstr("has no 'role'"));
  EXPECT_THAT(error_of(R"({"messages": [{"role": "user"}], "n": 0})"), HasSubstr("'n' must be"));
}

TEST(OutputFieldsTest, AreThoseThatDspyLists) {
  const std::vector<OutputField> fields = output_fields_in(
      "Your input fields are:\n1. `question` (str): \n"
      "Your output fields are:\n"
      "1. `answer` (str): a description\nwith a second line\n"
      "2. `score` (float): \n"
      "3. `kind` (Literal['a', 'b (c)']):\n"
      "All interactions will be structured in the following way\n"
      "4. `not_this` (str): \n");
  ASSERT_EQ(fields.size(), 3U);
  EXPECT_EQ(fields[0].name, "answer");
  EXPECT_EQ(fields[0].type, "str");
  EXPECT_EQ(fields[1].name, "score");
  EXPECT_EQ(fields[1].type, "float");
  EXPECT_EQ(fields[2].type, "Literal['a', 'b (c)']");
}

TEST(OutputFieldsTest, AreNoneWithoutDspy) {
  EXPECT_TRUE(output_fields_in("You are a helpful assistant.").empty());
}

}  // namespace
}  // namespace dspool::offline_lm
