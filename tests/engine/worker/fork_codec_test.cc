#include "engine/worker/fork_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>

#include "tests/support/seed.h"

namespace dspool::worker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using wire::ForkWord;

template <typename Fill>
std::vector<std::byte> report_with(Fill&& fill) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(fill(builder));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> report(ForkWord word, std::uint64_t epoch, bool signalled = false,
                              int code = 0) {
  return report_with([&](auto& builder) {
    return wire::CreateForkReport(builder, word, epoch, 0, signalled, code);
  });
}

std::vector<std::byte> failure(std::uint64_t epoch, const char* category) {
  return report_with([&](flatbuffers::FlatBufferBuilder& builder) {
    const auto error =
        wire::CreateErrorReportDirect(builder, category, "fork_refused", "it has a thread");
    return wire::CreateForkReport(builder, ForkWord::failed, epoch, error);
  });
}

TEST(ForkCodecTest, AnOrderNamesTheWorkerAndItsDescriptors) {
  const auto bytes = encode_fork_order(7, std::array{1, 2, 9});
  const auto* order = flatbuffers::GetRoot<wire::ForkOrder>(bytes.data());
  EXPECT_EQ(order->epoch(), 7);
  EXPECT_THAT(*order->numbers(), ElementsAre(1, 2, 9));
}

TEST(ForkCodecTest, ReadsWhatAServerSays) {
  EXPECT_EQ(decode_fork_report(report(ForkWord::ready, 0))->word, ForkWord::ready);
  EXPECT_EQ(decode_fork_report(report(ForkWord::forked, 3))->epoch, 3);
  EXPECT_EQ(decode_fork_report(report(ForkWord::ended, 3, false, 7))->status.describe(),
            "exit status 7");
  EXPECT_EQ(decode_fork_report(report(ForkWord::ended, 3, true, 9))->status.describe(),
            "killed by SIGKILL");
  EXPECT_EQ(decode_fork_report(report(ForkWord::ended, 3, false, -1))->status.code,
            ipc::ExitStatus::kUntold);
  const auto failed = decode_fork_report(failure(3, "initialization"));
  ASSERT_TRUE(failed) << failed.error();
  EXPECT_EQ(failed->error.code, "fork_refused");
  EXPECT_EQ(failed->error.message, "it has a thread");
}

TEST(ForkCodecTest, RefusesWhatCannotBe) {
  EXPECT_THAT(decode_fork_report(report(ForkWord::ready, 3)).error(), HasSubstr("ready"));
  EXPECT_THAT(decode_fork_report(report(ForkWord::forked, 0)).error(), HasSubstr("epoch 0"));
  EXPECT_THAT(decode_fork_report(report(ForkWord::ended, 0)).error(), HasSubstr("epoch 0"));
  EXPECT_THAT(decode_fork_report(report(ForkWord::failed, 3)).error(), HasSubstr("without"));
  EXPECT_THAT(decode_fork_report(failure(3, "weather")).error(), HasSubstr("weather"));
  EXPECT_THAT(decode_fork_report(report(static_cast<ForkWord>(99), 3)).error(),
              HasSubstr("unknown kind"));
  EXPECT_FALSE(decode_fork_report({}));
}

TEST(ForkCodecTest, BytesOfAnyKindAreReadSafely) {
  std::minstd_rand random(static_cast<std::uint32_t>(test::test_seed()));
  const auto sound = failure(3, "initialization");
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = sound;
    for (int changes = 0; changes < 3; ++changes) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    bytes.resize(random() % 4 == 0 ? random() % bytes.size() : bytes.size());
    static_cast<void>(decode_fork_report(bytes));
  }
}

}  // namespace
}  // namespace dspool::worker
