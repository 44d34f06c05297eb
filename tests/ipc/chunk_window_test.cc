#include "ipc/chunk_window.h"

#include <gtest/gtest.h>

namespace dspool::ipc {
namespace {

TEST(ChunkWindowTest, TakesSoManyUntilSomeAreConsumed) {
  ChunkWindow window;
  for (std::uint64_t i = 0; i < ChunkWindow::kMostChunks; ++i) {
    ASSERT_TRUE(window.has_room(1));
    window.send(1);
  }
  EXPECT_FALSE(window.has_room(0));
  EXPECT_TRUE(window.consume_to(2));
  window.send(1);
  window.send(1);
  EXPECT_FALSE(window.has_room(0));
  EXPECT_EQ(window.sent(), ChunkWindow::kMostChunks + 2);
}

TEST(ChunkWindowTest, TakesSoManyBytes) {
  ChunkWindow window;
  window.send(ChunkWindow::kMostBytes - 10);
  EXPECT_TRUE(window.has_room(10));
  EXPECT_FALSE(window.has_room(11));
  EXPECT_FALSE(window.has_room(~std::size_t{0}));
  window.send(10);
  EXPECT_TRUE(window.consume_to(1));
  EXPECT_TRUE(window.has_room(ChunkWindow::kMostBytes - 10)) << "the first one's bytes are free";
  EXPECT_FALSE(window.has_room(ChunkWindow::kMostBytes - 9));
}

TEST(ChunkWindowTest, TakesOneOfAnySizeByItself) {
  ChunkWindow window;
  EXPECT_TRUE(window.has_room(100 * ChunkWindow::kMostBytes));
  window.send(100 * ChunkWindow::kMostBytes);
  EXPECT_FALSE(window.has_room(0));
  EXPECT_TRUE(window.consume_to(1));
  EXPECT_TRUE(window.has_room(ChunkWindow::kMostBytes));
}

TEST(ChunkWindowTest, RefusesWhatWasNotSent) {
  ChunkWindow window;
  EXPECT_FALSE(window.consume_to(1));
  window.send(1);
  EXPECT_TRUE(window.consume_to(1));
  EXPECT_TRUE(window.consume_to(0)) << "which is old, and says nothing new";
  EXPECT_EQ(window.consumed(), 1U);
}

}  // namespace
}  // namespace dspool::ipc
