// Memory that is not there: whichever allocation fails, the first, the second and so on until none
// does, what asked for it has not happened, whoever asked is told, and nothing is left behind.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dspool/engine.h"
#include "engine/session/record.h"
#include "engine/session/session.h"
#include "engine/store/memory_store.h"
#include "ipc/engine_channel.h"
#include "ipc/payload.h"
#include "ipc/state_segment.h"
#include "tests/support/failing_memory.h"
#include "tests/support/held_resources.h"
#include "tests/support/make_delta.h"

namespace dspool {
namespace {

using test::FailingMemory;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = FailingMemory::Kind;

constexpr std::size_t kMiB = std::size_t{1} << 20;

// Calls `attempt(nth)` with nth = 1, 2, ... until none of its allocations has failed; it returns
// whether one did. How often one did.
template <typename Attempt>
unsigned fail_each(const Attempt& attempt) {
  unsigned nth = 1;
  while (attempt(nth)) ++nth;
  return nth - 1;
}

// ---- shared memory, and what goes with it ----

TEST(FailedAllocationTest, AChannelIsThereAsAWholeOrNotAtAll) {
  const ipc::ChannelSizes sizes{.request_bytes = kMiB, .response_bytes = kMiB, .bulk_bytes = kMiB};
  static_cast<void>(ipc::EngineChannel::create(1, sizes));
  const test::HeldResources before = test::held_resources();
  const unsigned failed = fail_each([&](unsigned nth) {
    const FailingMemory memory(Kind::kSystem, nth);
    const auto channel = ipc::EngineChannel::create(1, sizes);
    EXPECT_EQ(channel.has_value(), !memory.has_failed());
    if (!channel) {
      EXPECT_THAT(channel.error().what, HasSubstr("(errno "));
      EXPECT_EQ(test::held_resources(), before);
    }
    return memory.has_failed();
  });
  EXPECT_GE(failed, 9U) << "two memfds, their memory, three bells, two pairs of sockets";
}

TEST(FailedAllocationTest, APayloadIsPlacedOrRefused) {
  const std::vector<std::byte> body(3 * kMiB);
  fail_each([&](unsigned nth) {
    const FailingMemory memory(Kind::kSystem, nth);
    const auto store = ipc::PayloadStore::create(kMiB);
    EXPECT_EQ(store.has_value(), !memory.has_failed());
    return memory.has_failed();
  });
  const auto store = ipc::PayloadStore::create(kMiB).value();
  const test::HeldResources before = test::held_resources();
  const unsigned failed = fail_each([&](unsigned nth) {
    const FailingMemory memory(Kind::kSystem, nth);
    const auto placed = store->place(body);  // beyond the slab
    EXPECT_EQ(placed.has_value(), !memory.has_failed());
    if (!placed) {
      EXPECT_EQ(test::held_resources(), before);
    }
    return memory.has_failed();
  });
  EXPECT_GE(failed, 2U);
}

TEST(FailedAllocationTest, TheStateSegmentGrowsOrStaysAsItIs) {
  for (const std::size_t bytes : {std::size_t{1'000}, 3 * kMiB}) {
    for (const Kind kind : {Kind::kSystem, Kind::kHeap}) {
      const unsigned failed = fail_each([&](unsigned nth) {
        ipc::StateSegment segment(32 * kMiB);
        bool has_failed = false;
        {
          const FailingMemory memory(kind, nth);
          const ipc::StateBlock block = segment.allocate(bytes, 0);
          has_failed = memory.has_failed();
          EXPECT_EQ(static_cast<bool>(block), !has_failed);
        }
        EXPECT_EQ(segment.used_bytes(), 0U);
        EXPECT_TRUE(segment.allocate(bytes, 0)) << "there is memory again";
        return has_failed;
      });
      EXPECT_GE(failed, 1U);
    }
  }
}

// ---- the heap ----

TEST(FailedAllocationTest, ASessionIsInTheTableOrNot) {
  const std::string id(100, 'i');  // too long to lie within the session
  const unsigned failed = fail_each([&](unsigned nth) {
    session::SessionTable table;
    bool has_failed = false;
    {
      const FailingMemory memory(Kind::kHeap, nth);
      try {
        const auto found =
            table.find_or_create(id, [&] { return session::make_session(id, {}, {}); });
        EXPECT_TRUE(found.first);
      } catch (const std::bad_alloc&) {
        EXPECT_TRUE(memory.has_failed());
      }
      has_failed = memory.has_failed();
    }
    EXPECT_EQ(table.size(), has_failed ? 0U : 1U);
    EXPECT_EQ(table.list("", 10).size(), has_failed ? 0U : 1U);
    EXPECT_TRUE(table.find_or_create(id, [&] { return session::make_session(id, {}, {}); }).first);
    EXPECT_EQ(table.list("", 10).size(), 1U);
    return has_failed;
  });
  EXPECT_GE(failed, 3U) << "the session, its id, its entry";
}

TEST(FailedAllocationTest, ADeltaIsStagedOrTheRecordIsAsItWas) {
  ipc::StateSegment segment(32 * kMiB);
  store::MemoryStore store(16 * kMiB, segment);
  session::Record record;
  const Value list = Value::list({1, 2, 3});
  const Value text = Value::of(std::string(100'000, 'x'));
  const auto first = [&] { return test::make_delta({{"list", list.bytes()}}); };
  const auto second = [&] {
    return test::make_delta({{"a", text.bytes()}, {"b", text.bytes()}, {"c", list.bytes()}},
                            {{"list", list.bytes()}});
  };
  {
    session::Delta delta = first();
    record.apply(delta, store.prepare(record, delta).value(), 1);
  }
  const std::size_t used = segment.used_bytes();
  const unsigned failed = fail_each([&](unsigned nth) {
    const session::Delta delta = second();
    const FailingMemory memory(Kind::kHeap, nth);
    const auto staged = store.prepare(record, delta);
    EXPECT_EQ(staged.has_value(), !memory.has_failed());
    if (!staged) {
      EXPECT_EQ(staged.error().category, ErrorCategory::kResourceError);
      EXPECT_THAT(staged.error().code, AnyOf("state_memory_full", "no_engine_memory"));
      EXPECT_EQ(segment.used_bytes(), used);
    }
    return memory.has_failed();
  });
  EXPECT_GE(failed, 1U);
  EXPECT_EQ(record.version(), 1U);
  EXPECT_EQ(segment.used_bytes(), used);
  session::Delta delta = second();
  auto staged = store.prepare(record, delta);
  ASSERT_TRUE(staged);
  record.apply(delta, *std::move(staged), 2);
  EXPECT_EQ(record.version(), 2U);
}

// ---- calls ----

class FailedAllocationCallTest : public testing::Test {
 protected:
  void SetUp() override {
    Config config;
    config.pool_size = 1;
    config.overflow = 0;
    config.log_level = LogLevel::kError;
    config.worker.python = DSPOOL_HOSTILE_WORKER;
    config.worker.adapter = "hostile:honest";
    config.worker.slab_bytes = WorkerConfig::kLeastRingBytes;
    auto started = Engine::start(config);
    ASSERT_TRUE(started) << started.error().describe();
    engine_ = std::move(*started);
  }

  static void expect_refused(const Result<Answer>& answer, std::string_view code) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().category, ErrorCategory::kResourceError);
    EXPECT_EQ(answer.error().code, code);
    EXPECT_EQ(answer.error().state_applied, StateApplied::kNo);
    EXPECT_TRUE(answer.error().retryable);
  }

  std::unique_ptr<Engine> engine_;
};

TEST_F(FailedAllocationCallTest, ASessionThatCannotBeMadeIsRefused) {
  constexpr std::size_t kIdBytes = 117;
  const std::string id(kIdBytes, 'i');
  {
    const FailingMemory memory(Kind::kHeap, 1, kIdBytes, kIdBytes);
    expect_refused(engine_->execute_in_session(id, "count", {}), "no_engine_memory");
    EXPECT_TRUE(memory.has_failed());
  }
  EXPECT_THAT(engine_->list_sessions().value(), IsEmpty());
  const auto answer = engine_->execute_in_session(id, "count", {});
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->version, 1U);
}

TEST_F(FailedAllocationCallTest, ASubmittedCallThatCannotBeKeptEndsOnce) {
  const std::string command(1'001, 'c');
  const auto submit = [&] {
    auto ended = std::make_shared<std::promise<Result<Answer>>>();
    auto future = ended->get_future();
    engine_->submit("a", command, {},
                    [ended](Result<Answer> answer) { ended->set_value(std::move(answer)); });
    return future;
  };
  std::future<Result<Answer>> refused;
  {
    const FailingMemory memory(Kind::kHeap, 1, command.size(), command.size() + 1);
    refused = submit();
    EXPECT_TRUE(memory.has_failed());
  }
  expect_refused(refused.get(), "no_engine_memory");
  EXPECT_TRUE(submit().get());
}

// What makes the state longer finds memory elsewhere, or that is told.
TEST_F(FailedAllocationCallTest, ACallThatFindsNoSharedMemoryIsRefused) {
  const Value args{{"text", std::string(2 * kMiB, 'x')}};  // more than the slab takes
  unsigned refused = 0;
  unsigned answered = 0;
  fail_each([&](unsigned nth) {
    const FailingMemory memory(Kind::kSystem, nth);
    const auto answer = engine_->execute_in_session("a", "count", args);
    if (answer) {
      ++answered;
      return memory.has_failed();
    }
    ++refused;
    EXPECT_TRUE(memory.has_failed());
    EXPECT_EQ(answer.error().category, ErrorCategory::kResourceError);
    EXPECT_THAT(answer.error().code, AnyOf("no_payload_memory", "state_memory_full"));
    EXPECT_EQ(answer.error().state_applied, StateApplied::kNo);
    return memory.has_failed();
  });
  EXPECT_GE(refused, 2U);
  const auto answer = engine_->execute_in_session("a", "count", {});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->version, answered + 1) << "none of those that were refused has run";
}

}  // namespace
}  // namespace dspool
