// What a worker is told of a request while it runs it.
#include "ipc/attention.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/ipc/channel_pair.h"

namespace dspool::ipc {
namespace {

TEST(AttentionTest, IsEachPlacesOwn) {
  const ChannelPair pair = make_channel_pair();
  pair.engine->tell_consumed(5, 7);
  pair.engine->tell_cancelled(kMostPlaces - 1);
  EXPECT_EQ(pair.worker->attention(5), (Attention{.cancelled = false, .consumed = 7}));
  EXPECT_EQ(pair.worker->attention(4), Attention{});
  EXPECT_EQ(pair.worker->attention(kMostPlaces - 1), (Attention{.cancelled = true}));
}

TEST(AttentionTest, TellsBoth) {
  const ChannelPair pair = make_channel_pair();
  pair.engine->tell_consumed(0, 1);
  pair.engine->tell_cancelled(0);
  pair.engine->tell_consumed(0, 2);
  EXPECT_EQ(pair.worker->attention(0), (Attention{.cancelled = true, .consumed = 2}));
  pair.engine->clear_attention(0);
  EXPECT_EQ(pair.worker->attention(0), Attention{});
}

TEST(AttentionTest, IsWaitedFor) {
  const ChannelPair pair = make_channel_pair();
  std::thread worker([&] {
    while (pair.worker->attention(3) == Attention{}) {
      ASSERT_TRUE(pair.worker->wait_for_attention(3, {}));
    }
  });
  pair.engine->tell_consumed(3, 1);
  worker.join();
  EXPECT_TRUE(pair.worker->wait_for_attention(3, {})) << "it has been told";
}

TEST(AttentionTest, NobodyWaitsForAnEngineThatIsGone) {
  ChannelPair pair = make_channel_pair();
  pair.engine.reset();
  EXPECT_FALSE(pair.worker->wait_for_attention(0, {}));
}

}  // namespace
}  // namespace dspool::ipc
