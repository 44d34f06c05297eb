#include "dspool/error.h"

#include <gtest/gtest.h>

#include <utility>

#include "dspool/error_codes.h"

namespace dspool {
namespace {

TEST(ErrorCategoryTest, HasTheNamesOfTheOldPoolAndReadsThemBack) {
  const std::pair<ErrorCategory, std::string_view> names[] = {
      {ErrorCategory::kInitialization, "initialization"},
      {ErrorCategory::kConnection, "connection"},
      {ErrorCategory::kCommunication, "communication"},
      {ErrorCategory::kTimeout, "timeout"},
      {ErrorCategory::kResourceError, "resource_error"},
      {ErrorCategory::kHealthCheck, "health_check"},
      {ErrorCategory::kSession, "session"},
      {ErrorCategory::kPython, "python"},
      {ErrorCategory::kSystemError, "system_error"}};
  for (const auto& [category, name] : names) {
    EXPECT_EQ(to_string(category), name);
    EXPECT_EQ(error_category_from(name), category);
  }
}

TEST(ErrorCategoryTest, ReadsNothingElse) {
  for (const std::string_view name : {"", "Python", "python ", "unknown"}) {
    EXPECT_EQ(error_category_from(name), std::nullopt) << name;
  }
  EXPECT_EQ(to_string(static_cast<ErrorCategory>(9)), "unknown");
}

TEST(StateAppliedTest, HasThreeNames) {
  EXPECT_EQ(to_string(StateApplied::kNo), "no");
  EXPECT_EQ(to_string(StateApplied::kYes), "yes");
  EXPECT_EQ(to_string(StateApplied::kUnknown), "unknown");
}

TEST(ErrorTest, DescribesCategoryCodeMessageAndWorker) {
  const Error error{.category = ErrorCategory::kConnection,
                    .code = "worker_lost",
                    .message = "killed by signal 9: raise its memory limit",
                    .worker = "worker-2"};
  EXPECT_EQ(error.describe(),
            "connection/worker_lost: killed by signal 9: raise its memory limit (worker-2)");
}

TEST(ErrorTest, DescribesWithoutWhatItDoesNotHave) {
  EXPECT_EQ(Error{}.describe(), "system_error: ");
  EXPECT_EQ((Error{.category = ErrorCategory::kTimeout, .code = "deadline", .message = "late"})
                .describe(),
            "timeout/deadline: late");
}

TEST(ErrorTest, NamesTheExceptionOnce) {
  Error error{.category = ErrorCategory::kPython,
              .code = "exception",
              .message = "no such program",
              .worker = "worker-2",
              .exception_type = "ValueError",
              .traceback = "Traceback (most recent call last): ..."};
  EXPECT_EQ(error.describe(), "python/exception: ValueError: no such program (worker-2)");
  error.message = "ValueError: no such program";
  EXPECT_EQ(error.describe(), "python/exception: ValueError: no such program (worker-2)");
  error.message.clear();
  EXPECT_EQ(error.describe(), "python/exception: ValueError (worker-2)");
}

TEST(ErrorCodesTest, AreSortedAndWholeSentences) {
  const auto codes = error_codes();
  ASSERT_FALSE(codes.empty());
  for (std::size_t i = 0; i < codes.size(); ++i) {
    EXPECT_TRUE(codes[i].cause.ends_with('.') && codes[i].cure.ends_with('.')) << codes[i].code;
    if (i == 0) continue;
    EXPECT_LT(std::pair(codes[i - 1].category, codes[i - 1].code),
              std::pair(codes[i].category, codes[i].code));
  }
}

}  // namespace
}  // namespace dspool
