#include "bench/loadtest/conversations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace dspool::loadtest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string error_of(std::string_view text) {
  const auto conversations = parse_conversations(text, "questions.jsonl");
  return conversations ? "no error" : conversations.error().message;
}

TEST(ConversationsTest, ReadsTurnsInOrder) {
  const auto conversations = parse_conversations(
      "{\"question_id\": 81, \"category\": \"x\", \"turns\": [\"one\", \"two\"]}\n"
      "\n"
      "{\"question_id\": \"b\", \"turns\": [\"three\"]}",
      "questions.jsonl");
  ASSERT_TRUE(conversations) << conversations.error().message;
  ASSERT_EQ(conversations->size(), 2U);
  EXPECT_EQ((*conversations)[0].name, "81");
  EXPECT_THAT((*conversations)[0].turns, ElementsAre("one", "two"));
  EXPECT_EQ((*conversations)[1].name, "b");
}

TEST(ConversationsTest, NamesTheLineThatIsWrong) {
  constexpr const char* kGood = "{\"question_id\": 1, \"turns\": [\"a\"]}\n";
  EXPECT_THAT(error_of(std::string(kGood) + "{\"question_id\": 2,"),
              StartsWith("questions.jsonl:2: "));
  EXPECT_THAT(error_of("{\"turns\": [\"a\"]}"), HasSubstr("no 'question_id'"));
  EXPECT_THAT(error_of("{\"question_id\": 1}"), HasSubstr("'turns' must be a list"));
  EXPECT_THAT(error_of("{\"question_id\": 1, \"turns\": []}"), HasSubstr("'turns' must be"));
  EXPECT_THAT(error_of("{\"question_id\": 1, \"turns\": [\"a\", 2]}"),
              HasSubstr("turn 2 is not a string"));
  EXPECT_THAT(error_of("\n\n"), HasSubstr("no conversation"));
}

TEST(ConversationsTest, NamesAFileThatIsNotThere) {
  const auto conversations = read_conversations("no/such/questions.jsonl");
  ASSERT_FALSE(conversations);
  EXPECT_THAT(conversations.error().message, HasSubstr("no/such/questions.jsonl"));
}

TEST(ConversationsTest, ReadsMtBench) {
  const std::filesystem::path file =
      std::filesystem::path(DSPOOL_DATA_DIR) / "mt_bench_questions.jsonl";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is absent";
  const auto conversations = read_conversations(file);
  ASSERT_TRUE(conversations) << conversations.error().message;
  EXPECT_EQ(conversations->size(), 80U);
  for (const Conversation& conversation : *conversations) {
    EXPECT_EQ(conversation.turns.size(), 2U) << conversation.name;
  }
}

TEST(MadeUpQuestionTest, IsAlwaysTheSameForATurn) {
  EXPECT_EQ(made_up_question(7, 1), made_up_question(7, 1));
  EXPECT_NE(made_up_question(7, 0), made_up_question(7, 1));
  EXPECT_NE(made_up_question(7, 0), made_up_question(8, 0));
}

}  // namespace
}  // namespace dspool::loadtest
