// What a command says and learns while it runs: chunks, cancellation, usage.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "ipc/chunk_window.h"
#include "tests/python_worker/worker_harness.h"

namespace dspool::python {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kWindow = ipc::ChunkWindow::kMostChunks;

WorkerOptions options(std::uint32_t max_in_flight = 1) {
  return {.adapter = "streaming:Streaming", .max_in_flight = max_in_flight};
}

Call streaming(std::string command, std::vector<std::uint8_t> args = flex_map()) {
  return {.command = std::move(command), .args = std::move(args), .streams = true};
}

std::vector<std::uint8_t> sizes(const std::vector<std::uint64_t>& all) {
  return flex_map([&](flexbuffers::Builder& map) {
    map.Vector("sizes", [&] {
      for (const std::uint64_t size : all) map.UInt(size);
    });
  });
}

TEST(WorkerStreamTest, TellsWhatTheCommandRunsFor) {
  WorkerHarness worker(options());
  const std::uint64_t id = worker.send(Call{.command = "call", .attempt = 3});
  EXPECT_EQ(worker.receive().result_json(),
            R"({ "attempt": 3, "cancelled": false, "language_model": null, "request_id": )" +
                std::to_string(id) + R"(, "streams": false, "type": "EngineCall" })");
  worker.send(streaming("call"));
  EXPECT_THAT(worker.receive().result_json(), HasSubstr("\"streams\": true"));
}

TEST(WorkerStreamTest, ACallThatIsKeptHasEnded) {
  WorkerHarness worker(options());
  const std::uint64_t first = worker.send(streaming("keep_call"));
  EXPECT_EQ(worker.receive().result_json(), "[  ]");
  worker.send(streaming("keep_call"));
  EXPECT_EQ(worker.receive().result_json(),
            "[ [ " + std::to_string(first) + ", true, \"CancelledError\" ] ]");
}

TEST(WorkerStreamTest, ChunksComeInOrderAheadOfTheAnswer) {
  WorkerHarness worker(options());
  Call call = streaming("count", uint_args("chunks", 5));
  call.attempt = 2;
  const std::uint64_t id = worker.send(call);
  for (std::uint64_t index = 0; index < 5; ++index) {
    const Reply reply = worker.receive();
    ASSERT_EQ(reply.type, wire::MessageType::chunk);
    EXPECT_EQ(reply.request_id, id);
    EXPECT_EQ(reply.chunk().epoch(), WorkerHarness::kEpoch);
    EXPECT_EQ(reply.chunk().attempt(), 2U);
    EXPECT_EQ(reply.chunk().index(), index);
    EXPECT_EQ(reply.chunk_json(), std::to_string(index));
  }
  EXPECT_EQ(worker.receive().result_json(), "5");
}

TEST(WorkerStreamTest, WhereNobodyListensNothingIsSent) {
  WorkerHarness worker(options());
  EXPECT_EQ(worker.call(Call{.command = "count", .args = uint_args("chunks", 1000)}).result_json(),
            "1000");
}

// The window is full, and nothing more comes before some of it was consumed: the pong of the other
// thread does.
TEST(WorkerStreamTest, ASlowCallerHoldsUpItsOwnCommandOnly) {
  WorkerHarness worker(options(2));
  Call call = streaming("count", uint_args("chunks", kWindow + 3));
  call.place = 7;
  worker.send(call);
  for (std::uint64_t i = 0; i < kWindow; ++i) {
    EXPECT_EQ(worker.receive().type, wire::MessageType::chunk);
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(worker.call(Call{.command = "call"}).type, wire::MessageType::response);
  }
  worker.tell_consumed(7, 2);
  EXPECT_EQ(worker.receive().chunk().index(), kWindow);
  EXPECT_EQ(worker.receive().chunk().index(), kWindow + 1);
  EXPECT_EQ(worker.call(Call{.command = "call"}).type, wire::MessageType::response);
  worker.tell_consumed(7, 3);
  EXPECT_EQ(worker.receive().chunk().index(), kWindow + 2);
  EXPECT_EQ(worker.receive().result_json(), std::to_string(kWindow + 3));
}

TEST(WorkerStreamTest, BytesCountToo) {
  constexpr std::uint64_t kHalf = ipc::ChunkWindow::kMostBytes / 2;
  WorkerOptions with_rings = options();
  with_rings.ring_bytes = std::size_t{4} << 20;
  WorkerHarness worker(with_rings);
  worker.send(streaming("emit_bytes", sizes({60'000, 60'000, 60'000, 60'000, 60'000})));
  std::size_t bytes = 0;
  for (int i = 0; i < 4; ++i) {
    const Reply reply = worker.receive();
    ASSERT_EQ(reply.type, wire::MessageType::chunk);
    bytes += reply.body.size();
  }
  EXPECT_LE(bytes, 2 * kHalf);
  EXPECT_GT(bytes + 60'000, 2 * kHalf) << "the fifth has no room";
  worker.tell_consumed(0, 1);
  EXPECT_EQ(worker.receive().chunk().index(), 4U);
  EXPECT_EQ(worker.receive().result_json(), "null");
}

TEST(WorkerStreamTest, WhatCannotBeSentIsTold) {
  WorkerHarness worker(options());
  worker.send(streaming("emit_a_set"));
  EXPECT_THAT(worker.receive().error().message()->str(), HasSubstr("chunk.answers[0] is a set"));
  worker.send(streaming("emit_bytes", sizes({ipc::kValueLimitBytes + 1})));
  EXPECT_THAT(worker.receive().error().message()->str(), HasSubstr("worker.max_payload_bytes"));
}

TEST(WorkerStreamTest, ThreadsOfACommandEmitOneChunkAtATime) {
  WorkerHarness worker(options());
  const auto args = flex_map([](flexbuffers::Builder& map) {
    map.UInt("threads", 4);
    map.UInt("each", 50);
  });
  worker.send(streaming("emit_from_threads", args));
  std::map<std::int64_t, std::int64_t> next;
  for (std::uint64_t index = 0; index < 200; ++index) {
    const Reply reply = worker.receive();
    ASSERT_EQ(reply.type, wire::MessageType::chunk);
    EXPECT_EQ(reply.chunk().index(), index);
    const auto value =
        flexbuffers::GetRoot(reply.chunk().value()->data(), reply.chunk().value()->size())
            .AsVector();
    EXPECT_EQ(value[1].AsInt64(), next[value[0].AsInt64()]++) << "each thread's come in order";
    worker.tell_consumed(0, index + 1);
  }
  EXPECT_EQ(worker.receive().result_json(), "null");
}

TEST(WorkerStreamTest, NothingFollowsTheAnswer) {
  WorkerHarness worker(options());
  worker.send(streaming("leave_a_thread"));
  Reply reply = worker.receive();
  std::uint64_t chunks = 0;
  for (; reply.type == wire::MessageType::chunk; reply = worker.receive()) {
    worker.tell_consumed(0, ++chunks);
  }
  EXPECT_EQ(reply.result_json(), "\"answered\"");
  std::string notes;
  do {
    notes = worker.call(Call{.command = "kept_notes"}).result_json();
  } while (notes == "[  ]");
  EXPECT_EQ(notes, "[ \"the thread has left\" ]");
}

TEST(WorkerCancelTest, EndsACommandThatWaitsForRoom) {
  WorkerHarness worker(options());
  Call call = streaming("count_for_ever");
  call.session = "a";
  const std::uint64_t id = worker.send(call);
  for (std::uint64_t i = 0; i < kWindow; ++i) worker.receive();
  worker.tell_cancelled(0);
  const Reply reply = worker.receive();
  EXPECT_EQ(reply.request_id, id);
  EXPECT_EQ(reply.response().status(), wire::Status::cancelled);
  EXPECT_GT(reply.response().service_ns(), 0U);
  EXPECT_EQ(reply.delta_text(), "") << "it changed nothing";
  EXPECT_THAT(worker.call(Call{.command = "call", .session = "a"}).result_json(),
              HasSubstr("\"cancelled\": false"));
}

TEST(WorkerCancelTest, EndsACommandThatChecks) {
  WorkerHarness worker(options());
  worker.send(streaming("wait_until_cancelled"));
  EXPECT_EQ(worker.receive().chunk_json(), "\"begun\"");
  worker.tell_cancelled(0);
  EXPECT_EQ(worker.receive().response().status(), wire::Status::cancelled);
}

TEST(WorkerCancelTest, SoDoesTheDeadline) {
  WorkerHarness worker(options());
  Call call{.command = "wait_until_cancelled"};
  call.deadline_ns = monotonic_ns() + 20'000'000;
  EXPECT_EQ(worker.call(call).response().status(), wire::Status::cancelled);
}

TEST(WorkerCancelTest, ACommandMayReturnAllTheSame) {
  WorkerHarness worker(options());
  Call call = streaming("notice_and_return");
  call.session = "a";
  worker.send(call);
  EXPECT_EQ(worker.receive().chunk_json(), "\"begun\"");
  worker.tell_cancelled(0);
  const Reply reply = worker.receive();
  EXPECT_EQ(reply.result_json(), "true");
  EXPECT_EQ(reply.delta_text(), "put noticed=true");
}

TEST(WorkerCancelTest, WhatWasCancelledDoesNotBegin) {
  WorkerHarness worker(options());
  worker.send(streaming("wait_until_cancelled"));
  EXPECT_EQ(worker.receive().chunk_json(), "\"begun\"");
  Call behind{.command = "keep_call"};
  behind.place = 1;
  worker.send(behind);
  worker.tell_cancelled(1);
  worker.tell_cancelled(0);
  EXPECT_EQ(worker.receive().response().status(), wire::Status::cancelled);
  const Reply second = worker.receive();
  EXPECT_EQ(second.response().status(), wire::Status::cancelled);
  EXPECT_EQ(second.response().service_ns(), 0U);
  EXPECT_EQ(worker.call(Call{.command = "keep_call"}).result_json(), "[  ]") << "it ran";
}

TEST(WorkerCancelTest, WithoutACancelTheExceptionIsAnError) {
  WorkerHarness worker(options());
  const Reply reply = worker.call(Call{.command = "raise_cancelled"});
  EXPECT_EQ(reply.response().status(), wire::Status::error);
  EXPECT_EQ(reply.error().exception_type()->str(), "CancelledError");
}

TEST(WorkerUsageTest, IsSummedForEachCallAndToldWithErrorsToo) {
  WorkerHarness worker(options());
  for (const bool fail : {false, true}) {
    const auto args = flex_map([&](flexbuffers::Builder& map) { map.Bool("fail", fail); });
    const Reply reply = worker.call(Call{.command = "use_tokens", .args = args});
    EXPECT_EQ(reply.response().error() != nullptr, fail);
    EXPECT_EQ(reply.response().input_tokens(), 11U);
    EXPECT_EQ(reply.response().output_tokens(), 5U);
  }
  EXPECT_EQ(worker.call(Call{.command = "call"}).response().input_tokens(), 0U);
  EXPECT_EQ(worker.call(Call{.command = "use_negative_tokens"}).error().exception_type()->str(),
            "OverflowError");
}

}  // namespace
}  // namespace dspool::python
