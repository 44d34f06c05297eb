#include "engine/session/stored_answers.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dspool::session {
namespace {

constexpr TimePoint kBegin{std::chrono::hours(1)};

StoredAnswer answer(std::string key, std::uint64_t version, TimePoint stored = kBegin,
                    std::size_t bytes = 1) {
  return {.key = std::move(key),
          .asked = {},
          .value = std::vector<std::uint8_t>(bytes),
          .version = version,
          .stored = stored};
}

TEST(StoredAnswersTest, FindsAnAnswerByItsKey) {
  StoredAnswers answers;
  answers.store(answer("a", 1));
  answers.store(answer("b", 2));
  ASSERT_NE(answers.find("a", kBegin), nullptr);
  EXPECT_EQ(answers.find("a", kBegin)->version, 1U);
  EXPECT_EQ(answers.find("c", kBegin), nullptr);
}

TEST(StoredAnswersTest, ForgetsAnAnswerAfterItsLifetime) {
  StoredAnswers answers;
  answers.store(answer("a", 1));
  const TimePoint end = kBegin + StoredAnswers::kLifetime;
  EXPECT_NE(answers.find("a", end - std::chrono::nanoseconds(1)), nullptr);
  EXPECT_EQ(answers.find("a", end), nullptr);
  answers.store(answer("a", 2, end));
  EXPECT_EQ(answers.find("a", end)->version, 2U);
}

TEST(StoredAnswersTest, KeepsTheNewestOnes) {
  StoredAnswers answers;
  for (std::size_t i = 0; i <= StoredAnswers::kMostAnswers; ++i) {
    answers.store(answer(std::to_string(i), i));
  }
  EXPECT_EQ(answers.find("0", kBegin), nullptr);
  EXPECT_NE(answers.find("1", kBegin), nullptr);
}

TEST(StoredAnswersTest, IsBoundedInBytes) {
  constexpr std::size_t kThird = StoredAnswers::kMostBytes / 3;
  StoredAnswers answers;
  for (const char* key : {"a", "b", "c", "d"}) answers.store(answer(key, 1, kBegin, kThird));
  EXPECT_EQ(answers.find("a", kBegin), nullptr);
  EXPECT_EQ(answers.find("b", kBegin), nullptr) << "keys count, too";
  EXPECT_NE(answers.find("c", kBegin), nullptr);
  answers.store(answer("e", 1, kBegin, StoredAnswers::kMostBytes));
  EXPECT_EQ(answers.find("e", kBegin), nullptr);
}

TEST(FingerprintTest, TellsCommandsAndArgumentsApart) {
  const std::vector<std::uint8_t> one{1};
  const std::vector<std::uint8_t> two{2};
  EXPECT_EQ(fingerprint("add", one), fingerprint("add", one));
  EXPECT_NE(fingerprint("add", one), fingerprint("add", two));
  EXPECT_NE(fingerprint("add", one), fingerprint("sub", one));
}

}  // namespace
}  // namespace dspool::session
