// Values of every size, through the ring, the slabs and memfds of their own.
#include <gmock/gmock.h>

#include <boost/crc.hpp>
#include <random>
#include <thread>

#include "tests/e2e/pool.h"
#include "tests/support/held_resources.h"

namespace dspool {
namespace {

using testing::HasSubstr;

std::vector<std::byte> random_bytes(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

std::uint32_t crc32(std::span<const std::byte> bytes) {
  boost::crc_32_type sum;
  sum.process_bytes(bytes.data(), bytes.size());
  return sum.checksum();
}

class PayloadTest : public testing::Test {
 protected:
  void start(std::size_t slab_bytes, std::size_t max_payload_bytes = std::size_t{64} << 20) {
    Config config = test::pool_config(2, "payloads:Payloads");
    config.worker.slab_bytes = slab_bytes;
    config.worker.max_payload_bytes = max_payload_bytes;
    engine_ = test::start_pool(config);
    ASSERT_NE(engine_, nullptr);
  }

  Value call(std::string_view command, const Value& args, const CallOptions& options = {}) {
    auto answer = engine_->execute_in_session("s", command, args, options);
    if (!answer) {
      ADD_FAILURE() << command << ": " << answer.error().describe();
      return {};
    }
    return std::move(answer->value);
  }

  Error error_of(std::string_view command, const Value& args) {
    auto answer = engine_->execute_in_session("s", command, args);
    return answer ? Error{.code = "none"} : answer.error();
  }

  std::unique_ptr<Engine> engine_;
};

class PayloadSizeTest : public PayloadTest, public testing::WithParamInterface<std::size_t> {};

TEST_P(PayloadSizeTest, ComesBackAsItWent) {
  start(GetParam());
  for (const std::size_t size :
       {1'000UL, 65'000UL, 65'536UL, 70'000UL, 1UL << 20, 5'000'000UL, 17UL << 20, 40UL << 20}) {
    const auto data = random_bytes(size, size);
    const Value args{{"data", data}};
    EXPECT_EQ(call("length", args).as_int64(), size);
    const Value seen = call("view", args);
    EXPECT_EQ(seen["bytes"].as_int64(), size);
    EXPECT_EQ(seen["crc32"].as_int64(), crc32(data));
    EXPECT_TRUE(seen["readonly"].as_bool());
    EXPECT_TRUE(std::ranges::equal(call("echo", args).view().as_bytes(), data)) << size;
  }
}

TEST_P(PayloadSizeTest, IsAsGoodAStateAsAnyOther) {
  start(GetParam());
  for (const std::size_t size : {70'000UL, 3'000'000UL}) {
    const auto data = random_bytes(size, size);
    EXPECT_EQ(call("store", {{"data", data}}).as_int64(), size);
    for (int i = 0; i < 4; ++i) {  // on a worker that must be given it, too
      std::thread busy([&] { engine_->execute_anonymous("make", {{"size", 10}}); });
      EXPECT_EQ(call("stored", {})["crc32"].as_int64(), crc32(data));
      busy.join();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Slab, PayloadSizeTest, testing::Values(0UL, 1UL << 20, 32UL << 20),
                         [](const auto& slab) { return std::to_string(slab.param >> 20) + "MiB"; });

TEST_F(PayloadTest, CarriesLongTextAndLists) {
  start(std::size_t{4} << 20);
  const std::string text(300'000, 'x');
  EXPECT_EQ(call("text", {{"text", text + "y"}}).as_string(), "y" + text);
}

TEST_F(PayloadTest, AboveTheLimitIsRefusedBothWays) {
  start(std::size_t{1} << 20, std::size_t{2} << 20);
  const Error in = error_of("length", {{"data", random_bytes((2UL << 20) + 1, 1)}});
  EXPECT_EQ(in.category, ErrorCategory::kCommunication);
  EXPECT_EQ(in.code, "value_too_large");
  EXPECT_THAT(in.message, HasSubstr("worker.max_payload_bytes"));
  const Error out = error_of("make", {{"size", (2 << 20) + 1}});
  EXPECT_EQ(out.category, ErrorCategory::kCommunication);
  EXPECT_EQ(out.code, "result_too_large");
  EXPECT_EQ(call("make", {{"size", (2 << 20) - 100}}).view().as_bytes().size(), (2UL << 20) - 100);
}

TEST_F(PayloadTest, AViewThatOutlivesItsCommandIsAnError) {
  start(std::size_t{4} << 20);
  for (const std::size_t size : {1'000UL, 1UL << 20, 6UL << 20}) {
    call("keep", {{"data", random_bytes(size, 1)}});
    const Error error = error_of("look_at_kept", {});
    EXPECT_EQ(error.category, ErrorCategory::kPython);
    EXPECT_EQ(error.exception_type, "ValueError");
    EXPECT_THAT(error.message, HasSubstr("released memoryview"));
  }
}

// Its memory is used by others in the meantime.
TEST_F(PayloadTest, ASliceThatOutlivesItsCommandKeepsWhatItShowed) {
  Config config = test::pool_config(1, "payloads:Payloads");
  config.worker.slab_bytes = std::size_t{4} << 20;
  engine_ = test::start_pool(config);
  const auto data = random_bytes(std::size_t{1} << 20, 1);
  call("keep_slice", {{"data", data}});
  for (std::uint64_t i = 0; i < 8; ++i) {
    call("length", {{"data", random_bytes(std::size_t{3} << 20, i)}});
  }
  const Value kept = call("look_at_kept", {});
  EXPECT_EQ(kept["bytes"].as_int64(), data.size() - 1);
  EXPECT_EQ(kept["crc32"].as_int64(), crc32(std::span(data).subspan(1)));
}

TEST_F(PayloadTest, ADeathTakesNothingAndLeavesNothing) {
  start(std::size_t{1} << 20);
  const Value args{{"data", random_bytes(std::size_t{5} << 20, 1)}};  // a memfd
  call("length", args);
  const auto before = test::held_resources().descriptors;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(error_of("die", args).code, "worker_lost");
    ASSERT_TRUE(engine_->wait_until_ready(test::kPatience));
    call("length", args);
  }
  // The last of the dead is buried while its place is filled already.
  const auto patience_ends = std::chrono::steady_clock::now() + test::kPatience;
  while (test::held_resources().descriptors != before &&
         std::chrono::steady_clock::now() < patience_ends) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(test::held_resources().descriptors, before);
}

TEST_F(PayloadTest, ManyAtOnceShareTheSlab) {
  start(std::size_t{4} << 20);
  std::vector<std::thread> callers;
  for (std::uint64_t caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (std::uint64_t i = 0; i < 20; ++i) {
        const auto data = random_bytes(100'000 + caller * 150'000, caller * 100 + i);
        const auto answer =
            engine_->execute_in_session("s" + std::to_string(caller), "echo", {{"data", data}});
        ASSERT_TRUE(answer) << answer.error().describe();
        ASSERT_TRUE(std::ranges::equal(answer->value.view().as_bytes(), data));
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

}  // namespace
}  // namespace dspool
