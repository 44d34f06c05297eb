// How a session's fields come to a worker, by reference, and what the worker keeps of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/python_worker/worker_harness.h"

namespace dspool::python {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::size_t kMostUnreadBytes = std::size_t{256} << 10;  // that are kept

Encoded key_of(const std::string& key) {
  return flex_map([&](flexbuffers::Builder& map) { map.String("key", key); });
}

Encoded text(const std::string& value) {
  return flex_value([&](flexbuffers::Builder& builder) { builder.String(value); });
}

Encoded items(std::initializer_list<int> values) {
  return flex_value([&](flexbuffers::Builder& builder) {
    builder.Vector([&] {
      for (const int value : values) builder.Int(value);
    });
  });
}

// A list as other encoders write it: of one type, and without a type for each item.
Encoded typed_items(std::initializer_list<int> values) {
  return flex_value([&](flexbuffers::Builder& builder) {
    builder.TypedVector([&] {
      for (const int value : values) builder.Int(value);
    });
  });
}

Call read(const std::string& key) {
  return {.command = "read", .args = key_of(key), .session = "s", .version = 1, .state_id = 1};
}

Call append(const std::string& key, int value) {
  Call call = read(key);
  call.command = "append";
  call.args = flex_map([&](flexbuffers::Builder& map) {
    map.String("key", key);
    map.Int("value", value);
  });
  return call;
}

Call grow(const std::string& key, const std::string& by) {
  Call call = read(key);
  call.command = "grow_text";
  call.args = flex_map([&](flexbuffers::Builder& map) {
    map.String("key", key);
    map.String("by", by);
  });
  return call;
}

Call with(Call call, Fields fields) {
  call.state = std::move(fields);
  return call;
}

// The same session one command later.
Call after(const Reply& reply, Call call, std::uint64_t version = 2) {
  call.version = version;
  call.state_id = reply.request_id;
  return call;
}

Call all_fields() { return {.command = "fields", .session = "s", .version = 1, .state_id = 1}; }

TEST(WorkerStateTest, ReadsFieldsWhereTheyLie) {
  WorkerHarness worker;
  const Fields fields{{{"a", text("one")}, {"b", items({1, 2})}, {"c", text("three")}}};
  EXPECT_EQ(worker.call(with(read("b"), fields)).result_json(), "[ 1, 2 ]");
  EXPECT_EQ(worker.call(all_fields()).result_json(),
            R"({ "a": "one", "b": [ 1, 2 ], "c": "three" })");
}

TEST(WorkerStateTest, ARequestWithoutACommandIsKeptForThoseToCome) {
  WorkerHarness worker;
  Call brings = with(all_fields(), Fields{{{"a", text("one")}}});
  brings.command = "";
  const Reply kept = worker.call(brings);
  EXPECT_EQ(kept.response().status(), wire::Status::ok);
  EXPECT_EQ(kept.response().delta(), nullptr);
  EXPECT_FALSE(kept.response().not_kept());
  EXPECT_EQ(worker.call(read("a")).result().AsString().str(), "one");

  brings.session = "long";
  brings.state = Fields{{{"a", text(std::string(kMostUnreadBytes + 1, 'x'))}}};
  EXPECT_TRUE(worker.call(brings).response().not_kept());
}

// What has not been read by then is read from a copy.
TEST(WorkerStateTest, NeedsNothingOfTheSegmentOnceItHasAnswered) {
  WorkerHarness worker;
  const Fields fields{{{"a", text("one")}, {"b", items({1, 2})}, {"c", text("three")}},
                      {{"b", {items({3}), items({4, 5})}}, {"c", {text(" and")}}}};
  for (const char* command : {"session_id", "refuse"}) {
    Call call = with(all_fields(), fields);
    call.session = command;
    call.command = command;
    worker.call(call);
    worker.state().scribble();
    Call again = all_fields();
    again.session = command;
    EXPECT_EQ(worker.call(again).result_json(),
              R"({ "a": "one", "b": [ 1, 2, 3, 4, 5 ], "c": "three and" })");
  }
}

TEST(WorkerStateTest, PutsTogetherWhatWasAppended) {
  WorkerHarness worker;
  const Fields fields{{{"l", items({1})}, {"t", text("zwölf ")}},
                      {{"l", {items({2}), items({3, 4}), items({}), items({5})}},
                       {"t", {text("💡"), text(""), text("!")}}}};
  EXPECT_EQ(worker.call(with(read("l"), fields)).result_json(), "[ 1, 2, 3, 4, 5 ]");
  EXPECT_EQ(worker.call(read("t")).result().AsString().str(), "zwölf 💡!");
  EXPECT_EQ(worker.call(append("l", 6)).delta_text(), "append l=[ 6 ]");
}

TEST(WorkerStateTest, ReadsBlocksByThemselves) {
  WorkerHarness worker;
  const Fields fields{
      {{"a", text(std::string(3000, 'x'))}, {"b", text("y")}, {"c", items({1})}}, {}, {"a", "b"}};
  for (std::uint64_t version = 1; version < 4; ++version) {
    Call call = with(read("a"), fields);
    call.version = version;
    EXPECT_EQ(worker.call(call).result().AsString().size(), 3000);
    call = read("b");
    call.version = version;
    EXPECT_EQ(worker.call(call).result().AsString().str(), "y");
  }
}

TEST(WorkerStateTest, WaitsForWhatIsHandedOverAfterTheRequest) {
  WorkerHarness worker;
  const Fields fields{{{"a", text("one")}, {"b", text("two")}}, {}, {"b"}};
  worker.send(with(all_fields(), fields), /*late=*/true);
  EXPECT_EQ(worker.receive().result_json(), R"({ "a": "one", "b": "two" })");
}

// Also when the session turned out to be warm: a later request with the same block gets its own.
TEST(WorkerStateTest, TakesBlocksThatNobodyReads) {
  WorkerHarness worker;
  const Fields fields{{{"a", text("one")}}, {}, {"a"}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(worker.call(with(read("a"), fields)).result().AsString().str(), "one");
    Call expired = with(read("a"), fields);
    expired.deadline_ns = 1;
    EXPECT_EQ(worker.call(expired).response().status(), wire::Status::cancelled);
  }
}

TEST(WorkerStateTest, TakesBlocksOfWhatWasTakenBack) {
  WorkerHarness worker;
  const Fields fields{{{"a", text("one")}}, {}, {"a"}};
  for (int i = 0; i < 3; ++i) {
    Call recalled = with(read("a"), fields);
    recalled.recalled = true;
    EXPECT_EQ(worker.call(recalled).response().status(), wire::Status::recalled);
    EXPECT_EQ(worker.call(with(read("a"), fields)).result().AsString().str(), "one");
  }
}

TEST(WorkerStateTest, RefusesWhatLiesOutsideOfItsExtent) {
  WorkerHarness worker;
  const Fields fields{{{"a", text("one")}}, {}, {}, /*misplaced=*/{"a"}};
  const Reply reply = worker.call(with(read("a"), fields));
  EXPECT_THAT(reply.error().message()->str(), HasSubstr("does not lie within its extent"));
}

TEST(WorkerStateTest, KeepsUnreadFieldsUpToALimit) {
  WorkerHarness worker;
  const Fields fits{{{"a", text(std::string(kMostUnreadBytes - 100, 'x'))}, {"b", items({1})}}};
  const Fields too_long{{{"a", text(std::string(kMostUnreadBytes + 1, 'x'))}, {"b", items({1})}}};
  EXPECT_FALSE(worker.call(with(read("b"), fits)).response().not_kept());
  EXPECT_EQ(worker.call(read("b")).response().status(), wire::Status::ok);

  Call call = with(read("b"), too_long);
  call.session = "long";
  EXPECT_TRUE(worker.call(call).response().not_kept());
  call.state.reset();
  EXPECT_EQ(worker.call(call).response().status(), wire::Status::need_state);

  call = with(append("b", 2), too_long);
  call.session = "long";
  const Reply appended = worker.call(call);
  EXPECT_TRUE(appended.response().not_kept());
  EXPECT_EQ(appended.delta_text(), "append b=[ 2 ]");

  call.command = "refuse";
  call.args = flex_map();
  EXPECT_TRUE(worker.call(call).response().not_kept());

  // Once the long field was read, the worker has it.
  call = with(read("a"), too_long);
  call.session = "long";
  EXPECT_FALSE(worker.call(call).response().not_kept());
}

TEST(WorkerStateTest, KeepsNoMoreBytesThanItMay) {
  WorkerHarness worker({.session_cache = 100, .session_cache_bytes = 200'000});
  const auto call = [&](const std::string& session, std::size_t bytes) {
    Call made = read("t");
    made.session = session;
    if (bytes != 0) made.state = Fields{{{"t", text(std::string(bytes, 'x'))}}};
    return worker.call(made);
  };
  const auto is_warm = [&](const std::string& session) {
    return call(session, 0).response().status() == wire::Status::ok;
  };
  call("a", 60'000);
  call("b", 60'000);
  call("c", 60'000);
  EXPECT_TRUE(is_warm("a"));
  call("d", 60'000);  // in the place of b, used least recently
  EXPECT_FALSE(is_warm("b"));
  EXPECT_TRUE(is_warm("a"));
  EXPECT_TRUE(is_warm("c"));
  EXPECT_TRUE(call("e", 300'000).response().not_kept());
  EXPECT_FALSE(is_warm("e"));
  EXPECT_TRUE(is_warm("d"));
}

TEST(WorkerStateTest, AWarmListGrowsByWhatWasAdded) {
  WorkerHarness worker;
  Reply reply = worker.call(with(append("l", 0), Fields{{{"l", items({7})}}}));
  EXPECT_EQ(reply.delta_text(), "append l=[ 0 ]");
  for (int i = 1; i < 50; ++i) {
    reply = worker.call(after(reply, append("l", i), static_cast<std::uint64_t>(i) + 1));
    EXPECT_EQ(reply.delta_text(), "append l=[ " + std::to_string(i) + " ]");
    EXPECT_EQ(reply.result().AsInt64(), i + 2);
  }
  reply = worker.call(after(reply, read("l"), 51));
  EXPECT_THAT(reply.result_json(), StartsWith("[ 7, 0, 1, 2,"));
  EXPECT_EQ(reply.result().AsVector().size(), 51);
}

TEST(WorkerStateTest, ATextGrowsByWhatWasAdded) {
  WorkerHarness worker;
  const std::string begin = "ä" + std::string(100, 'x');
  const Reply reply = worker.call(with(grow("t", "💡 and more"), Fields{{{"t", text(begin)}}}));
  EXPECT_EQ(reply.delta_text(), R"(append t="\uD83D\uDCA1 and more")");
  const Reply again = worker.call(after(reply, grow("t", "!")));
  EXPECT_EQ(again.delta_text(), "append t=\"!\"");
  const Reply last = worker.call(after(again, read("t"), 3));
  EXPECT_EQ(last.result().AsString().str(), begin + "💡 and more!");
}

TEST(WorkerStateTest, AFailedAppendIsTakenBack) {
  WorkerHarness worker;
  worker.call(with(read("l"), Fields{{{"l", items({1})}}}));
  Call failing = append("l", 2);
  failing.command = "append_and_raise";
  EXPECT_EQ(worker.call(failing).response().status(), wire::Status::error);
  EXPECT_EQ(worker.call(read("l")).result_json(), "[ 1 ]");
  EXPECT_EQ(worker.call(append("l", 3)).delta_text(), "append l=[ 3 ]");
}

// Others may write the same value otherwise; that is no change.
TEST(WorkerStateTest, LookingAtWhatOthersEncodedIsNoChange) {
  WorkerHarness worker;
  const Fields fields{{{"l", typed_items({1, 2, 3})}}, {{"l", {typed_items({4, 5, 6})}}}};
  Call touch = with(read("l"), fields);
  touch.command = "change_back";
  EXPECT_EQ(worker.call(touch).delta_text(), "");
  EXPECT_EQ(worker.call(append("l", 7)).delta_text(), "append l=[ 7 ]");
}

TEST(WorkerStateTest, OverwritingAndDeletingUnreadFields) {
  WorkerHarness worker;
  const Fields fields{{{"a", text("one")}, {"b", items({1})}, {"c", text("three")}}};
  Call call = with(append("b", 0), fields);
  call.command = "put";
  EXPECT_EQ(worker.call(call).delta_text(), "put b=0");
  call.command = "delete";
  call.args = key_of("c");
  const Reply reply = worker.call(call);
  EXPECT_EQ(reply.delta_text(), "delete c");
  EXPECT_EQ(worker.call(after(reply, all_fields())).result_json(), R"({ "a": "one", "b": [ 1 ] })");
}

}  // namespace
}  // namespace dspool::python
