// Fields are read by the thread that asked for them, between two steps of the dispatcher: a step
// costs the same however long they are, and whatever happens between the two leaves them alone.
#include "engine/dispatch/read_fields.h"

#include <gmock/gmock.h>

#include "tests/engine/dispatch/stepped_pool.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

class ReadFieldsTest : public testing::Test {
 protected:
  ipc::StateSegment segment_{std::size_t{16} << 20};
  SteppedArchive archive_{segment_};
  SteppedPool pool_{segment_, &archive_};
};

TEST_F(ReadFieldsTest, TheStepOnlyGivesTheTurn) {
  pool_.answer(pool_.call("s"), 7);
  Call& read = pool_.call("s", CallKind::kReadFields);
  ASSERT_THAT(pool_.turns(), ElementsAre(&read));
  EXPECT_FALSE(read.result);
  pool_.read(read);
  ASSERT_TRUE(read.result);
  ASSERT_TRUE(read.result->has_value());
  EXPECT_EQ((*read.result)->value.to_json(), R"({"value":7})");
  EXPECT_EQ((*read.result)->version, 1U);
}

TEST_F(ReadFieldsTest, OtherSessionsGoOnMeanwhile) {
  pool_.answer(pool_.call("s"), 7);
  Call& read = pool_.call("s", CallKind::kReadFields);
  const Call& other = pool_.call("other");
  pool_.answer(other, 1);
  ASSERT_TRUE(other.result);
  EXPECT_TRUE(other.result->has_value());
  EXPECT_FALSE(read.result);
  pool_.read(read);
  EXPECT_TRUE(read.result->has_value());
}

TEST_F(ReadFieldsTest, TheSessionWaitsInOrder) {
  pool_.answer(pool_.call("s"), 7);
  Call& read = pool_.call("s", CallKind::kReadFields);
  const Call& command = pool_.call("s");
  Call& read_again = pool_.call("s", CallKind::kReadFields);
  EXPECT_EQ(pool_.dispatcher().in_flight(), 0U);
  pool_.read(read);
  EXPECT_EQ((*read.result)->version, 1U);
  EXPECT_EQ(pool_.dispatcher().in_flight(), 1U);
  pool_.answer(command, 8);
  pool_.read(read_again);
  EXPECT_EQ((*read_again.result)->value.to_json(), R"({"value":8})");
  EXPECT_EQ((*read_again.result)->version, 2U);
}

TEST_F(ReadFieldsTest, NeitherEvictionNorExpiryNorAnEndTakesWhatIsRead) {
  pool_.ttl = milliseconds(500);
  pool_.answer(pool_.call("s"), 7);
  pool_.answer(pool_.call("idle"), 7);
  Call& read = pool_.call("s", CallKind::kReadFields);
  std::vector<ipc::StateBlock> others;
  while (!segment_.is_nearly_full()) others.push_back(segment_.allocate(1U << 20, 0));
  while (pool_.dispatcher().make_room(pool_.now())) continue;
  EXPECT_EQ(archive_.under_way(), 1U);
  archive_.carry_out(pool_);
  EXPECT_FALSE(pool_.session("idle")->record.is_resident());
  pool_.advance(2 * pool_.ttl);
  const Call& end = pool_.call("s", CallKind::kEndSession);
  EXPECT_FALSE(end.result);
  EXPECT_NE(pool_.session("s"), nullptr);
  pool_.read(read);
  EXPECT_EQ((*read.result)->value.to_json(), R"({"value":7})");
  EXPECT_TRUE(end.result);
}

TEST_F(ReadFieldsTest, AReaderThatIsLateGetsATimeout) {
  pool_.answer(pool_.call("s"), 7);
  Call& read = pool_.call("s", CallKind::kReadFields, milliseconds(100));
  pool_.advance(milliseconds(200));
  EXPECT_FALSE(read.result);  // its turn has come, so it ends itself
  pool_.read(read);
  ASSERT_FALSE(read.result->has_value());
  EXPECT_EQ(read.result->error().code, "deadline_exceeded");
  EXPECT_EQ(read.result->error().state_applied, StateApplied::kNo);
}

TEST_F(ReadFieldsTest, OneThatWaitsForItsTurnEndsAtItsDeadline) {
  const Call& command = pool_.call("s");
  const Call& read = pool_.call("s", CallKind::kReadFields, milliseconds(100));
  pool_.advance(milliseconds(101));
  ASSERT_TRUE(read.result);
  EXPECT_EQ(read.result->error().code, "deadline_exceeded");
  pool_.answer(command, 7);
  EXPECT_THAT(pool_.turns(), IsEmpty());
}

}  // namespace
}  // namespace dspool::dispatch
