// What a link lets a worker say, and when.
#include "engine/worker/link.h"

#include <gmock/gmock.h>

#include "tests/ipc/channel_pair.h"

namespace dspool::worker {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using wire::MessageType;

class LinkTest : public testing::Test {
 protected:
  void say(MessageType type, std::uint64_t id, std::span<const std::byte> body = {}) const {
    ASSERT_TRUE(ipc::push(*pair_.worker, id, body, static_cast<std::uint16_t>(type)));
    pair_.worker->publish();
  }

  void say_ready() {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(wire::CreateReady(builder, kEpoch, builder.CreateString("none")));
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
  Link link_{0, "worker-0", kEpoch, std::move(pair_.engine), *payloads_};
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

TEST_F(LinkTest, TakesOneReady) {
  say_ready();
  EXPECT_THAT(link_.receive(), SizeIs(1));
  say_ready();
  EXPECT_THAT(link_.receive(), SizeIs(0));
  EXPECT_THAT(link_.violation(), HasSubstr("a second ready"));
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

}  // namespace
}  // namespace dspool::worker
