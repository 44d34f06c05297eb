#include "ipc/control_message.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

namespace dspool::ipc {
namespace {

class ControlMessageTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    here_ = FileDescriptor(ends[0]);
    there_ = FileDescriptor(ends[1]);
  }

  void send(std::size_t bytes) {
    const std::vector<std::byte> message(bytes);
    ASSERT_EQ(::send(there_.get(), message.data(), bytes, 0), static_cast<ssize_t>(bytes));
  }

  FileDescriptor here_;
  FileDescriptor there_;
};

TEST_F(ControlMessageTest, ThereIsNone) { EXPECT_FALSE(receive_message(here_.get(), false)); }

// It would otherwise be there for ever, and hide what comes after it.
TEST_F(ControlMessageTest, AnEmptyOneIsTakenLikeAnyOther) {
  send(0);
  send(3);
  const auto empty = receive_message(here_.get(), false);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->bytes.empty());
  const auto next = receive_message(here_.get(), false);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->bytes.size(), 3U);
  EXPECT_FALSE(receive_message(here_.get(), false));
}

TEST_F(ControlMessageTest, WhatWasSentBeforeTheHangUpComes) {
  send(5);
  there_.close();
  const auto last = receive_message(here_.get(), true);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->bytes.size(), 5U);
  EXPECT_FALSE(receive_message(here_.get(), true));
}

}  // namespace
}  // namespace dspool::ipc
