#include "engine/dispatch/errand_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "dspool/value.h"
#include "tests/support/fragile_store.h"
#include "tests/support/make_delta.h"

namespace dspool::dispatch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = Errand::Kind;
using End = Errand::End;
using std::chrono::milliseconds;

class ErrandWriterTest : public testing::Test {
 protected:
  std::unique_ptr<Errand> errand(Kind kind, const std::string& id) {
    session::SessionRef& session = sessions_[id];
    if (!session) session = session::make_session(id, {});
    auto made = std::make_unique<Errand>();
    made->kind = kind;
    made->session = session;
    if (kind == Kind::kCommit) {
      made->begins = true;
      made->state_id = 7;
      made->delta = test::make_delta({{"value", value_.bytes()}});
    }
    return made;
  }
  template <typename... More>
  static Errands group(More... errands) {
    Errands all;
    (all.push_back(std::move(errands)), ...);
    return all;
  }
  void write(Kind kind, const std::string& id) { writer_.write(group(errand(kind, id))); }

  // What was told since the last look: ids, and how they ended.
  using Told = std::vector<std::pair<std::string, End>>;
  Told told() { return std::exchange(told_, {}); }

  const Value value_ = Value::of(1);
  std::map<std::string, session::SessionRef> sessions_;
  test::FragileStore store_;
  ipc::StateSegment segment_{std::size_t{1} << 20};
  telemetry::Log log_{LogLevel::kOff};
  telemetry::Metrics metrics_;
  ErrandRunner runner_{store_, store_.own().value(), segment_, log_};
  Told told_;
  ErrandWriter writer_{runner_, log_, metrics_, [this](std::span<Errand* const> errands) {
                         for (const Errand* errand : errands) {
                           told_.emplace_back(errand->session->id(), errand->end);
                         }
                       }};
};

TEST_F(ErrandWriterTest, ASessionsEndIsWrittenAgainUntilTheStoreTakesIt) {
  constexpr int kFailures = 5;
  write(Kind::kBegin, "a");
  store_.fail_next(false);
  write(Kind::kRemove, "a");
  EXPECT_THAT(told(), ElementsAre(std::pair("a", End::kDone), std::pair("a", End::kUnknown)));
  for (int failures = 1; failures < kFailures; ++failures) {
    store_.fail_next(false);
    writer_.recover();
    EXPECT_TRUE(writer_.is_broken());
    EXPECT_THAT(told(), IsEmpty());
    EXPECT_EQ(store_.sessions(), 1U);
  }
  writer_.recover();
  EXPECT_FALSE(writer_.is_broken());
  EXPECT_THAT(told(), ElementsAre(std::pair("a", End::kDone)));
  EXPECT_EQ(store_.sessions(), 0U);
  EXPECT_EQ(metrics_.store_retries.value(), kFailures);
  EXPECT_EQ(metrics_.store_failures.value(), 1U);
}

TEST_F(ErrandWriterTest, NothingIsWrittenWhileTheStoreCannotBeRecovered) {
  write(Kind::kBegin, "a");
  store_.fail_next(false, 2);
  write(Kind::kExpire, "a");
  told();
  for (int tries = 0; tries < 2; ++tries) writer_.recover();
  EXPECT_EQ(metrics_.store_retries.value(), 0U);
  EXPECT_THAT(told(), IsEmpty());
  writer_.recover();
  EXPECT_EQ(metrics_.store_retries.value(), 1U);
  EXPECT_TRUE(store_.expired("a"));
}

TEST_F(ErrandWriterTest, WhatComesMeanwhileIsRefusedExceptForEnds) {
  write(Kind::kBegin, "a");
  store_.fail_next(false);
  write(Kind::kBegin, "b");
  told();
  writer_.write(group(errand(Kind::kCommit, "c"), errand(Kind::kRemove, "a")));
  EXPECT_THAT(told(), ElementsAre(std::pair("c", End::kNot)));
  writer_.recover();
  EXPECT_THAT(told(), ElementsAre(std::pair("b", End::kNot), std::pair("a", End::kDone)));
  EXPECT_EQ(store_.sessions(), 0U);
  write(Kind::kCommit, "c");
  EXPECT_THAT(told(), ElementsAre(std::pair("c", End::kDone)));
}

TEST_F(ErrandWriterTest, WhatIsUnknownComesToWhatTheStoreHas) {
  for (const bool happened : {true, false}) {
    const std::string id = happened ? "there" : "not there";
    store_.fail_next(happened);
    write(Kind::kCommit, id);
    EXPECT_THAT(told(), ElementsAre(std::pair(id, End::kUnknown)));
    writer_.recover();
    EXPECT_THAT(told(), ElementsAre(std::pair(id, happened ? End::kDone : End::kNot)));
  }
}

TEST_F(ErrandWriterTest, AParkedSessionStaysWhereItIs) {
  store_.fail_next(true);
  writer_.write(group(errand(Kind::kCommit, "a"), errand(Kind::kPark, "p")));
  EXPECT_THAT(told(), ElementsAre(std::pair("p", End::kNot), std::pair("a", End::kUnknown)));
  writer_.recover();
  EXPECT_THAT(told(), ElementsAre(std::pair("a", End::kDone)));
}

TEST_F(ErrandWriterTest, WhatCannotBeReadYetHoldsUpNoEnd) {
  write(Kind::kBegin, "a");
  told();
  store_.fail_next(true);
  writer_.write(group(errand(Kind::kCommit, "b"), errand(Kind::kRemove, "a")));
  told();
  store_.fail_reads(1);
  writer_.recover();
  EXPECT_THAT(told(), ElementsAre(std::pair("a", End::kDone)));
  EXPECT_TRUE(writer_.is_broken());
  writer_.recover();
  EXPECT_THAT(told(), ElementsAre(std::pair("b", End::kDone)));
  EXPECT_FALSE(writer_.is_broken());
}

TEST_F(ErrandWriterTest, WhatIsGivenUpIsTold) {
  write(Kind::kBegin, "a");
  store_.fail_next(false, 1'000);
  writer_.write(group(errand(Kind::kCommit, "b"), errand(Kind::kRemove, "a")));
  told();
  writer_.recover();
  writer_.abandon();
  EXPECT_THAT(told(), ElementsAre(std::pair("b", End::kNot), std::pair("a", End::kNot)));
  EXPECT_FALSE(writer_.is_broken());
}

TEST_F(ErrandWriterTest, WaitsLongerEachTimeAndBeginsAnewAfterASuccess) {
  for (int rounds = 0; rounds < 2; ++rounds) {
    store_.fail_next(false);
    write(Kind::kBegin, "a");
    EXPECT_EQ(writer_.next_delay(), milliseconds(50));
    EXPECT_EQ(writer_.next_delay(), milliseconds(100));
    for (int tries = 0; tries < 10; ++tries) static_cast<void>(writer_.next_delay());
    EXPECT_EQ(writer_.next_delay(), milliseconds(2'000));
    writer_.recover();
  }
}

}  // namespace
}  // namespace dspool::dispatch
