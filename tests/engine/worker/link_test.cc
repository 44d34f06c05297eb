// What a link lets a worker say, and when.
#include "engine/worker/link.h"

#include <gmock/gmock.h>

#include <cstring>
#include <utility>
#include <vector>

#include "tests/ipc/channel_pair.h"

namespace dspool::worker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::SizeIs;
using wire::MessageType;

class LinkTest : public testing::Test {
 protected:
  void say(MessageType type, std::uint64_t id, std::span<const std::byte> body = {}) const {
    ASSERT_TRUE(ipc::push(*pair_.worker, id, body, static_cast<std::uint16_t>(type)));
    pair_.worker->publish();
  }

  void say_ready(wire::Protocol protocol = wire::Protocol::current) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(wire::CreateReady(builder, kEpoch, builder.CreateString("none"), 0, protocol));
    say(MessageType::ready, 0, bytes_of(builder));
  }

  void say_failure() {
    flatbuffers::FlatBufferBuilder builder;
    const auto word = builder.CreateString("python");
    const auto report = wire::CreateErrorReport(builder, word, word, word);
    builder.Finish(wire::CreateFailure(builder, kEpoch, report));
    say(MessageType::failure, 0, bytes_of(builder));
  }

  static std::span<const std::byte> bytes_of(flatbuffers::FlatBufferBuilder& builder) {
    return std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  }

  static constexpr std::uint64_t kEpoch = 7;

  ipc::ChannelPair pair_ = ipc::make_channel_pair(kEpoch);
  std::unique_ptr<ipc::PayloadStore> payloads_ = ipc::PayloadStore::create(0).value();
  ipc::StateSegment states_{std::size_t{16} << 20};
  Link link_{0, "worker-0", kEpoch, std::move(pair_.engine), *payloads_, states_};
};

TEST_F(LinkTest, TakesOnePongForEachPing) {
  ASSERT_TRUE(link_.send_signal(MessageType::ping, 6));
  ASSERT_TRUE(link_.send_signal(MessageType::ping, 5));  // two that ask at once may overtake
  say(MessageType::pong, 6);
  say(MessageType::pong, 5);
  EXPECT_THAT(link_.receive(), SizeIs(2));
  EXPECT_FALSE(link_.violated());
  say(MessageType::pong, 5);
  EXPECT_THAT(link_.receive(), SizeIs(0));
  EXPECT_THAT(link_.violation(), HasSubstr("a pong to no ping"));
}

// It would pass for the answer to all pings that are still to come.
TEST_F(LinkTest, RefusesAPongFromTheFuture) {
  ASSERT_TRUE(link_.send_signal(MessageType::ping, 1));
  say(MessageType::pong, 2);
  EXPECT_THAT(link_.receive(), SizeIs(0));
  EXPECT_THAT(link_.violation(), HasSubstr("a pong to no ping"));
}

TEST_F(LinkTest, IsReadyOnceItHasAnsweredAPingAfterItSaidSo) {
  ASSERT_TRUE(link_.send_signal(MessageType::ping, kReadinessPing));
  EXPECT_TRUE(link_.owes_pong());
  EXPECT_FALSE(link_.take_readiness());
  say_ready();
  say(MessageType::pong, kReadinessPing);
  EXPECT_THAT(link_.receive(), SizeIs(2));
  EXPECT_FALSE(link_.owes_pong());
  EXPECT_TRUE(link_.take_readiness());
  EXPECT_FALSE(link_.take_readiness()) << "once";
}

TEST_F(LinkTest, TakesOneReady) {
  say_ready();
  EXPECT_THAT(link_.receive(), SizeIs(1));
  say_ready();
  EXPECT_THAT(link_.receive(), SizeIs(0));
  EXPECT_THAT(link_.violation(), HasSubstr("a second ready"));
}

TEST_F(LinkTest, AWorkerThatSpeaksAnotherProtocolHasFailed) {
  ASSERT_TRUE(link_.send_signal(MessageType::ping, kReadinessPing));
  say_ready(wire::Protocol::unversioned);
  say(MessageType::pong, kReadinessPing);
  const auto letters = link_.receive();
  ASSERT_THAT(letters, SizeIs(2));
  EXPECT_EQ(letters[0].type, MessageType::failure);
  EXPECT_EQ(letters[0].failure.code, "version_mismatch");
  EXPECT_THAT(letters[0].failure.message, HasSubstr("protocol 0 and this engine protocol 1"));
  EXPECT_FALSE(link_.take_readiness());
  EXPECT_FALSE(link_.violated());
}

TEST_F(LinkTest, TakesOneFailure) {
  say_failure();
  EXPECT_THAT(link_.receive(), SizeIs(1));
  say_failure();
  EXPECT_THAT(link_.receive(), SizeIs(0));
  EXPECT_THAT(link_.violation(), HasSubstr("a failure after"));
}

TEST_F(LinkTest, TakesNoFailureOfAWorkerThatWasReady) {
  say_ready();
  say_failure();
  EXPECT_THAT(link_.receive(), SizeIs(1));
  EXPECT_THAT(link_.violation(), HasSubstr("a failure after"));
}

// ---- what a cold worker is handed ----

class LinkHydrationTest : public LinkTest {
 protected:
  void put(std::string_view key, std::size_t length) {
    const Value value = Value::of(std::string(length, 'x'));
    session::Delta delta;
    delta.puts.push_back({.key = key, .value = value.bytes()});
    auto staged = record_.stage(delta, states_, 0);
    ASSERT_TRUE(staged);
    record_.apply(delta, *std::move(staged), 1);
  }
  Sent send(bool hydrate) {
    const Value args;
    Pins pins;
    return link_.send({.request_id = ++requests_,
                       .command = "c",
                       .args = args.bytes(),
                       .session = "s",
                       .attempt = 1,
                       .state = &record_,
                       .hydrate = hydrate,
                       .pins = &pins});
  }
  // What came over the control socket: kind and number of each.
  std::vector<std::pair<wire::HandoverKind, std::uint64_t>> handed_over() {
    std::vector<std::pair<wire::HandoverKind, std::uint64_t>> all;
    while (const auto message = pair_.worker->receive_control(false)) {
      EXPECT_EQ(message->bytes.size(), sizeof(wire::Handover));
      EXPECT_TRUE(message->descriptor.is_open());
      wire::Handover handover;
      std::memcpy(&handover, message->bytes.data(), sizeof handover);
      all.emplace_back(handover.kind(), handover.number());
    }
    return all;
  }

  session::Record record_;
  std::uint64_t requests_ = 0;
};

TEST_F(LinkHydrationTest, AnExtentIsHandedOverOnce) {
  put("a", 10);
  put("b", 100);
  ASSERT_EQ(send(false), Sent::kSent);
  EXPECT_THAT(handed_over(), SizeIs(0));
  ASSERT_EQ(send(true), Sent::kSent);
  EXPECT_THAT(handed_over(), ElementsAre(Pair(wire::HandoverKind::extent, 0)));
  ASSERT_EQ(send(true), Sent::kSent);
  EXPECT_THAT(handed_over(), SizeIs(0));
}

TEST_F(LinkHydrationTest, ABlockByItselfIsHandedOverWithEachRequest) {
  put("a", 10);
  put("b", 2'000'000);
  const std::uint64_t number = record_.find("b")->base_block().place().at;
  ASSERT_EQ(send(true), Sent::kSent);
  EXPECT_THAT(handed_over(), ElementsAre(Pair(wire::HandoverKind::extent, 0),
                                         Pair(wire::HandoverKind::block, number)));
  ASSERT_EQ(send(true), Sent::kSent);
  EXPECT_THAT(handed_over(), ElementsAre(Pair(wire::HandoverKind::block, number)));
}

// ---- more than the control socket takes ----

class LinkOutboxTest : public LinkHydrationTest {
 protected:
  // Sends requests that need one descriptor each, until one has to wait.
  void fill_socket() {
    put("b", 2'000'000);
    while (!link_.outbox().has_more()) ASSERT_EQ(send(true), Sent::kSent);
    ASSERT_GT(requests_, 1U);
  }
  // All that comes while the worker reads and the engine sends on.
  std::vector<std::pair<wire::HandoverKind, std::uint64_t>> handed_over_in_all() {
    auto all = handed_over();
    while (link_.outbox().has_more()) {
      link_.outbox().send_on();
      const auto more = handed_over();
      EXPECT_FALSE(more.empty());
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }
  static std::vector<std::byte> language_model(std::string_view name) {
    const auto bytes = std::as_bytes(std::span(name));
    return {bytes.begin(), bytes.end()};
  }
};

TEST_F(LinkOutboxTest, TheRestOfWhatARequestNeedsFollowsIt) {
  fill_socket();
  put("a", 10);
  ASSERT_EQ(send(true), Sent::kSent);
  const std::uint64_t number = record_.find("b")->base_block().place().at;
  std::vector<std::pair<wire::HandoverKind, std::uint64_t>> expected(
      requests_ - 1, {wire::HandoverKind::block, number});
  expected.emplace_back(wire::HandoverKind::extent, 0);
  expected.emplace_back(wire::HandoverKind::block, number);
  EXPECT_EQ(handed_over_in_all(), expected);
}

// Its descriptors may be closed from then on, and their numbers be those of other files.
TEST_F(LinkOutboxTest, NothingIsSentForAnAttemptThatIsOver) {
  fill_socket();
  put("a", 10);
  const std::uint64_t waiting = requests_;
  ASSERT_EQ(send(true), Sent::kSent);
  link_.outbox().forget(waiting);
  link_.outbox().forget(requests_);
  const auto all = handed_over_in_all();
  EXPECT_THAT(all, SizeIs(waiting));  // one less than requests, and the extent, which is for good
  EXPECT_EQ(all.back(), std::pair(wire::HandoverKind::extent, std::uint64_t{0}));
}

TEST_F(LinkOutboxTest, NothingIsSentOnceItIsClosed) {
  fill_socket();
  link_.outbox().close();
  EXPECT_FALSE(link_.outbox().has_more());
  EXPECT_THAT(handed_over(), SizeIs(requests_ - 1));
  EXPECT_NE(send(true), Sent::kSent);
  EXPECT_THAT(handed_over(), SizeIs(0));
}

TEST_F(LinkOutboxTest, LanguageModelsAreToldInTheirOrder) {
  fill_socket();
  for (const char* name : {"first", "second", "third"}) {
    ASSERT_TRUE(link_.outbox().tell_language_model(language_model(name)));
  }
  std::vector<std::vector<std::byte>> told;
  do {
    link_.outbox().send_on();
    while (auto message = pair_.worker->receive_control(false)) {
      if (!message->descriptor.is_open()) told.push_back(std::move(message->bytes));
    }
  } while (link_.outbox().has_more());
  EXPECT_THAT(told, ElementsAre(language_model("first"), language_model("second"),
                                language_model("third")));
}

}  // namespace
}  // namespace dspool::worker
