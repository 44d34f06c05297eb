// A channel between two processes, and what remains of it when one is killed.
#include <gtest/gtest.h>

#include <csignal>
#include <random>

#include "tests/ipc/child.h"
#include "tests/support/seed.h"

namespace dspool::ipc {
namespace {

using Received = EngineChannel::Received;

class EchoPeerTest : public testing::Test {
 protected:
  void start(const char* spin_limit_ns) {
    engine_ = EngineChannel::create(1, kSmallestRings).value();
    peer_ = spawn({.program = echo_peer_path(),
                   .arguments = {spin_limit_ns},
                   .environment = {},
                   .descriptors = engine_->child_descriptors()});
    engine_->close_child_ends();
  }

  // A body that tells its id.
  std::span<const std::byte> body_for(std::uint64_t id) {
    sent_.assign(id * 37 % 5000, static_cast<std::byte>(id));
    return sent_;
  }

  void expect_echo_of(std::uint64_t id) {
    const auto expected = body_for(id);
    ASSERT_EQ(header_.request_id, id);
    ASSERT_TRUE(std::equal(body_.begin(), body_.end(), expected.begin(), expected.end()));
  }

  Received receive_waiting() {
    return ipc::receive_waiting(*engine_, header_, body_, peer_->pidfd());
  }

  std::unique_ptr<EngineChannel> engine_;
  std::unique_ptr<ChildProcess> peer_;
  RecordHeader header_{};
  std::vector<std::byte> sent_;
  std::vector<std::byte> body_;
};

TEST_F(EchoPeerTest, AnswersFromAnotherProcess) {
  for (const char* spin_limit_ns : {"0", "20000"}) {
    start(spin_limit_ns);
    for (std::uint64_t id = 1; id <= 2000; ++id) {
      ASSERT_TRUE(push(*engine_, id, body_for(id)));
      publish_and_ring(*engine_);
      ASSERT_EQ(receive_waiting(), Received::kRecord);
      expect_echo_of(id);
    }
  }
}

// Killed at a random point of a flood of requests: what was published before is whole and in
// order, what was not has not happened, and nothing in between is ever seen.
TEST_F(EchoPeerTest, LeavesWholeRecordsOnlyWhenItIsKilled) {
  const std::uint64_t seed = test::test_seed();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 30; ++round) {
    start(round % 2 == 0 ? "0" : "20000");
    const std::uint64_t kill_after = 1 + random() % 400;
    std::uint64_t sent = 0;
    std::uint64_t answered = 0;
    while (true) {
      while (push(*engine_, sent + 1, body_for(sent + 1))) ++sent;
      publish_and_ring(*engine_);
      if (answered >= kill_after) peer_->kill_group(SIGKILL);
      if (receive_waiting() != Received::kRecord) break;
      expect_echo_of(++answered);
    }
    EXPECT_EQ(engine_->violation(), "");
    EXPECT_GE(answered, kill_after);
    EXPECT_LE(answered, sent);
    EXPECT_EQ(wait_for_end(*peer_).describe(), "killed by SIGKILL");
  }
}

}  // namespace
}  // namespace dspool::ipc
