// A worker's view of sessions: what it reports as changed, and which state it takes for which
// version.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ipc/layout.h"
#include "tests/python_worker/worker_harness.h"

namespace dspool::python {
namespace {

using Args = std::vector<std::uint8_t>;

Args key_args(const std::string& key) {
  return flex_map([&](flexbuffers::Builder& map) { map.String("key", key); });
}

Args value_args(const std::string& key, std::int64_t value) {
  return flex_map([&](flexbuffers::Builder& map) {
    map.String("key", key);
    map.Int("value", value);
  });
}

Args list(std::initializer_list<int> items) {
  return flex_value([&](flexbuffers::Builder& builder) {
    builder.Vector([&] {
      for (const int item : items) builder.Int(item);
    });
  });
}

Args number(std::int64_t value) {
  return flex_value([&](flexbuffers::Builder& builder) { builder.Int(value); });
}

bool needs_state(const Reply& reply) {
  return reply.response().status() == wire::Status::need_state;
}

TEST(WorkerSessionTest, AssigningIsAPut) {
  WorkerHarness worker;
  const Reply reply =
      worker.call(Call{.command = "put", .args = value_args("a", 5), .session = "s"});
  EXPECT_EQ(reply.delta_text(), "put a=5");
}

TEST(WorkerSessionTest, ReadingIsNoChange) {
  WorkerHarness worker;
  const Call read{.command = "read",
                  .args = key_args("l"),
                  .session = "s",
                  .version = 4,
                  .state_id = 9,
                  .state = Fields{{{"l", list({1, 2})}}}};
  for (int i = 0; i < 2; ++i) {
    const Reply reply = worker.call(read);
    EXPECT_EQ(reply.result_json(), "[ 1, 2 ]");
    EXPECT_EQ(reply.response().delta(), nullptr);
  }
}

TEST(WorkerSessionTest, AddingToAListIsAnAppend) {
  WorkerHarness worker;
  const Reply reply =
      worker.call(Call{.command = "append",
                       .args = value_args("l", 3),
                       .session = "s",
                       .version = 1,
                       .state_id = 9,
                       .state = Fields{{{"l", list({1, 2})}, {"other", number(1)}}}});
  EXPECT_EQ(reply.delta_text(), "append l=[ 3 ]");
}

TEST(WorkerSessionTest, DeletingIsADelete) {
  WorkerHarness worker;
  const Reply reply = worker.call(Call{.command = "delete",
                                       .args = key_args("l"),
                                       .session = "s",
                                       .version = 1,
                                       .state_id = 9,
                                       .state = Fields{{{"l", list({1})}}}});
  EXPECT_EQ(reply.delta_text(), "delete l");
}

TEST(WorkerSessionTest, ChangingBackIsNoChange) {
  WorkerHarness worker;
  const Reply reply = worker.call(Call{.command = "change_back",
                                       .args = key_args("l"),
                                       .session = "s",
                                       .version = 1,
                                       .state_id = 9,
                                       .state = Fields{{{"l", list({1})}}}});
  EXPECT_EQ(reply.response().delta(), nullptr);
}

TEST(WorkerSessionTest, AssigningWhatIsThereIsNoChange) {
  WorkerHarness worker;
  Call put{.command = "put", .args = value_args("a", 5), .session = "s"};
  const Reply first = worker.call(put);
  put.version = 1;
  put.state_id = first.request_id;
  EXPECT_EQ(worker.call(put).response().delta(), nullptr);
  put.args = flex_map([](flexbuffers::Builder& map) {
    map.String("key", "a");
    map.Double("value", 5);
  });
  EXPECT_EQ(worker.call(put).delta_text(), "put a=5.0");
}

TEST(WorkerSessionTest, WhatCameAndWentIsNoChange) {
  WorkerHarness worker;
  const Reply reply =
      worker.call(Call{.command = "put_and_delete", .args = key_args("a"), .session = "s"});
  EXPECT_EQ(reply.response().delta(), nullptr);
}

// Equal values have equal bytes: a dict that was filled in another order is no other dict.
TEST(WorkerSessionTest, TheOrderInWhichADictWasFilledIsNoChange) {
  WorkerHarness worker;
  const auto keys = [](std::initializer_list<const char*> names) {
    return flex_map([&](flexbuffers::Builder& map) {
      map.Vector("keys", [&] {
        for (const char* name : names) map.String(name);
      });
    });
  };
  const Reply first =
      worker.call(Call{.command = "refill", .args = keys({"b", "a", "c"}), .session = "s"});
  EXPECT_EQ(first.delta_text(), "put d={ \"a\": [ 1 ], \"b\": [ 1 ], \"c\": [ 1 ] }");
  Call again{.command = "refill",
             .args = keys({"a", "c", "b"}),
             .session = "s",
             .version = 1,
             .state_id = first.request_id};
  EXPECT_EQ(worker.call(again).response().delta(), nullptr);
  again.command = "touch_all";
  again.args = flex_map();
  EXPECT_EQ(worker.call(again).response().delta(), nullptr);
}

// On another worker they would be two lists; on the one where the session is warm, too.
TEST(WorkerSessionTest, OneListUnderTwoKeysBecomesTwo) {
  WorkerHarness worker;
  const Reply first = worker.call(Call{.command = "share", .session = "s"});
  const Call again{.command = "share", .session = "s", .version = 1, .state_id = first.request_id};
  EXPECT_FALSE(worker.call(again).result().AsBool());
}

TEST(WorkerSessionTest, AWarmSessionIsFoundByItsVersionAndTheAttemptThatMadeIt) {
  WorkerHarness worker;
  const Reply first =
      worker.call(Call{.command = "append", .args = value_args("l", 1), .session = "s"});
  const Reply second = worker.call(Call{.command = "append",
                                        .args = value_args("l", 2),
                                        .session = "s",
                                        .version = 1,
                                        .state_id = first.request_id});
  EXPECT_EQ(second.delta_text(), "append l=[ 2 ]");
  const Reply third = worker.call(
      Call{.command = "fields", .session = "s", .version = 2, .state_id = second.request_id});
  EXPECT_EQ(third.result_json(), "{ \"l\": [ 1, 2 ] }");
}

// The engine gave the attempt up and discarded its delta: whatever asks for a version next must
// not get what that attempt left behind.
TEST(WorkerSessionTest, ADiscardedDeltaIsNeverTakenForState) {
  WorkerHarness worker;
  const Call put{.command = "put", .args = value_args("a", 1), .session = "s"};
  worker.call(put);
  EXPECT_EQ(worker.call(Call{.command = "fields", .session = "s"}).result_json(), "{  }");

  worker.call(put);
  const Call at_version_1_of_another{
      .command = "fields", .session = "s", .version = 1, .state_id = 5};
  EXPECT_TRUE(needs_state(worker.call(at_version_1_of_another)));
}

TEST(WorkerSessionTest, AsksForStateThatItLacksAndThenKeepsIt) {
  WorkerHarness worker;
  Call read{.command = "read", .args = key_args("n"), .session = "s", .version = 7, .state_id = 70};
  EXPECT_TRUE(needs_state(worker.call(read)));
  read.state = Fields{{{"n", number(42)}}};
  EXPECT_EQ(worker.call(read).result().AsInt64(), 42);
  read.state.reset();
  EXPECT_EQ(worker.call(read).result().AsInt64(), 42);
}

TEST(WorkerSessionTest, KeepsNoMoreSessionsThanItMay) {
  WorkerHarness worker({.session_cache = 2});
  const auto read = [&](const std::string& session, bool with_state) {
    Call call{
        .command = "read", .args = key_args("n"), .session = session, .version = 1, .state_id = 1};
    if (with_state) call.state = Fields{{{"n", number(1)}}};
    return worker.call(call);
  };
  for (const char* session : {"a", "b"}) read(session, true);
  EXPECT_FALSE(needs_state(read("a", false)));
  read("c", true);  // in the place of b, used least recently
  EXPECT_FALSE(needs_state(read("a", false)));
  EXPECT_TRUE(needs_state(read("b", false)));
}

TEST(WorkerSessionTest, AFailedCommandIsRolledBack) {
  WorkerHarness worker;
  Call fields{.command = "fields",
              .session = "s",
              .version = 1,
              .state_id = 1,
              .state = Fields{{{"n", number(1)}, {"touched", list({1})}}}};
  const std::string before = worker.call(fields).result_json();
  EXPECT_EQ(before, "{ \"n\": 1, \"touched\": [ 1 ] }");
  fields.state.reset();
  for (const char* command : {"raise_value_error", "return_a_set", "put_a_set"}) {
    const Call failing{.command = command, .session = "s", .version = 1, .state_id = 1};
    EXPECT_EQ(worker.call(failing).response().status(), wire::Status::error);
    EXPECT_EQ(worker.call(fields).result_json(), before) << command;
  }
}

// Reads the field n of the session s at version 1, and brings it along.
Call read_of_n() {
  return {.command = "read",
          .args = key_args("n"),
          .session = "s",
          .version = 1,
          .state_id = 1,
          .state = Fields{{{"n", number(1)}}}};
}

TEST(WorkerSessionTest, AFailedCommandThatTouchedNothingLeavesTheSessionWarm) {
  WorkerHarness worker;
  Call read = read_of_n();
  worker.call(read);
  worker.call(Call{.command = "refuse", .session = "s", .version = 1, .state_id = 1});
  read.state.reset();
  EXPECT_EQ(worker.call(read).result().AsInt64(), 1);
}

TEST(WorkerSessionTest, ACancelledRequestLeavesTheSessionWarm) {
  WorkerHarness worker;
  Call read = read_of_n();
  worker.call(read);
  const Call expired{.command = "put",
                     .args = value_args("n", 2),
                     .session = "s",
                     .version = 2,
                     .state_id = 2,
                     .deadline_ns = 1};
  EXPECT_EQ(worker.call(expired).response().status(), wire::Status::cancelled);
  read.state.reset();
  EXPECT_EQ(worker.call(read).result().AsInt64(), 1);
}

TEST(WorkerSessionTest, AKeyThatCannotBeSentIsNamed) {
  WorkerHarness worker;
  const Reply reply = worker.call(
      Call{.command = "put", .args = value_args(std::string("a\0b", 3), 1), .session = "s"});
  EXPECT_EQ(reply.error().code()->str(), "unserialisable_field");
}

TEST(WorkerSessionTest, AChangeThatCannotBeSentIsForgotten) {
  WorkerHarness worker;
  const auto size =
      flex_map([](flexbuffers::Builder& map) { map.UInt("size", 8 * ipc::kValueLimitBytes); });
  const Reply reply = worker.call(Call{.command = "put_bytes", .args = size, .session = "s"});
  EXPECT_EQ(reply.error().code()->str(), "result_too_large");
  EXPECT_EQ(worker.call(Call{.command = "fields", .session = "s"}).result_json(), "{  }");
}

// An adapter that keeps a list and changes it in a later call changes its own copy, so the worker
// where the session is warm and all others go on agreeing.
TEST(WorkerSessionTest, NobodyChangesASessionBehindItsBack) {
  WorkerHarness worker;
  Call keep{.command = "keep_and_change_later",
            .args = key_args("l"),
            .session = "s",
            .version = 1,
            .state_id = 1,
            .state = Fields{{{"l", list({1})}}}};
  EXPECT_EQ(worker.call(keep).response().delta(), nullptr);
  EXPECT_EQ(worker.call(keep).response().delta(), nullptr);
  const Reply fields =
      worker.call(Call{.command = "fields", .session = "s", .version = 1, .state_id = 1});
  EXPECT_EQ(fields.result_json(), "{ \"l\": [ 1 ] }");
}

TEST(WorkerSessionTest, ASessionCannotBeUsedOnceItsCommandHasEnded) {
  WorkerHarness worker;
  worker.call(Call{.command = "keep_session", .session = "s"});
  EXPECT_EQ(worker.call(Call{.command = "keep_session"}).result_json(), "[ \"RuntimeError\" ]");
}

TEST(WorkerSessionTest, AnIdMayBeAnyBytes) {
  WorkerHarness worker;
  const std::string id("\xff\0s", 3);
  const Reply put = worker.call(Call{.command = "put", .args = value_args("a", 1), .session = id});
  const Reply fields = worker.call(
      Call{.command = "fields", .session = id, .version = 1, .state_id = put.request_id});
  EXPECT_EQ(fields.result_json(), "{ \"a\": 1 }");
}

}  // namespace
}  // namespace dspool::python
