// Several threads of one worker that send in turn, and wait for room side by side. In a build with
// TSan these tests also show that who waits shares nothing with who sends.
#include <gtest/gtest.h>

#include <array>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "tests/ipc/channel_pair.h"

namespace dspool::ipc {
namespace {

using Received = EngineChannel::Received;

class ChannelSendersTest : public testing::Test {
 protected:
  // Sends one record as a worker's thread does; `turn_` stands for the interpreter's lock. False:
  // the engine is gone.
  bool send(std::uint64_t request_id, std::span<const std::byte> body) {
    std::unique_lock turn(turn_);
    while (!push(*worker_, request_id, body)) {
      const auto read_to = worker_->publish_full();
      turn.unlock();
      if (!read_to || !worker_->wait_for_room(*read_to)) return false;
      turn.lock();
    }
    worker_->publish();
    return true;
  }

  Received receive() { return engine_->receive(header_, body_); }

  Received receive_looking() {
    Received received = receive();
    for (; received == Received::kNothing; received = receive()) std::this_thread::yield();
    return received;
  }

  ChannelPair pair_ = make_channel_pair();
  std::unique_ptr<EngineChannel>& engine_ = pair_.engine;
  std::unique_ptr<WorkerChannel>& worker_ = pair_.worker;
  std::mutex turn_;
  RecordHeader header_{};
  std::vector<std::byte> body_;
};

// The longest record waits for room while short ones still find some.
TEST_F(ChannelSendersTest, WaitForRoomWhileOthersSend) {
  constexpr std::array<std::size_t, 4> kLengths = {kInlineLimitBytes, kInlineLimitBytes / 2, 0, 16};
  constexpr std::uint64_t kEach = 5'000;
  const std::vector<std::byte> bytes(kInlineLimitBytes);
  std::array<std::thread, kLengths.size()> senders;
  for (std::size_t sender = 0; sender < senders.size(); ++sender) {
    senders.at(sender) = std::thread([&, sender] {
      const auto body = std::span(bytes).first(kLengths.at(sender));
      for (std::uint64_t i = 0; i < kEach && send(i * senders.size() + sender, body); ++i) continue;
    });
  }
  std::array<std::uint64_t, kLengths.size()> received{};
  for (std::uint64_t i = 0; i < kEach * senders.size(); ++i) {
    if (receive_looking() == Received::kViolation) {
      ADD_FAILURE() << engine_->violation();
      break;
    }
    const std::size_t sender = header_.request_id % senders.size();
    EXPECT_EQ(header_.request_id / senders.size(), received.at(sender)++);
    EXPECT_EQ(body_.size(), kLengths.at(sender));
  }
  engine_.reset();
  for (std::thread& sender : senders) sender.join();
}

TEST_F(ChannelSendersTest, RoomThatAnotherHasSeenEndsTheWait) {
  while (push(*worker_, 1, {})) continue;
  const auto read_to = worker_->publish_full();
  ASSERT_EQ(receive(), Received::kRecord);
  ASSERT_TRUE(push(*worker_, 2, {}));
  EXPECT_TRUE(worker_->wait_for_room(read_to.value()));
}

TEST_F(ChannelSendersTest, RoomThatCameBeforeTheWaitEndsIt) {
  while (push(*worker_, 1, {})) continue;
  worker_->publish();
  ASSERT_EQ(receive(), Received::kRecord);
  EXPECT_TRUE(worker_->wait_for_room(worker_->publish_full().value()));
}

}  // namespace
}  // namespace dspool::ipc
