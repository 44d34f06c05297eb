// Both ends of a channel in one process, each over mappings of its own.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/mman.h>

#include <array>
#include <fstream>
#include <string>
#include <thread>

#include "ipc/memfd.h"
#include "tests/ipc/channel_pair.h"

namespace dspool::ipc {
namespace {

using testing::HasSubstr;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ChannelTest : public testing::Test {
 protected:
  EngineChannel::Received receive() { return engine_->receive(header_, body_); }

  ChannelPair pair_ = make_channel_pair(/*epoch=*/7);
  std::unique_ptr<EngineChannel>& engine_ = pair_.engine;
  std::unique_ptr<WorkerChannel>& worker_ = pair_.worker;
  RecordHeader header_{};
  std::vector<std::byte> body_;
};

TEST_F(ChannelTest, CarriesRequestsToTheWorker) {
  EXPECT_FALSE(worker_->try_receive());
  ASSERT_TRUE(push(*engine_, 11, bytes_of("first"), 2));
  ASSERT_TRUE(push(*engine_, 12, bytes_of(""), 3));
  EXPECT_FALSE(worker_->try_receive()) << "not published yet";
  static_cast<void>(engine_->publish());
  ASSERT_TRUE(worker_->wait());
  auto record = worker_->try_receive();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->header.request_id, 11U);
  EXPECT_EQ(record->header.type, 2);
  EXPECT_EQ(text_of(record->body), "first");
  worker_->release();
  record = worker_->try_receive();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->header.request_id, 12U);
  EXPECT_TRUE(record->body.empty());
  worker_->release();
  EXPECT_FALSE(worker_->try_receive());
}

TEST_F(ChannelTest, CarriesResponsesToTheEngine) {
  ASSERT_TRUE(engine_->try_take_token());
  EXPECT_EQ(receive(), EngineChannel::Received::kNothing);
  EXPECT_FALSE(engine_->has_records());
  ASSERT_TRUE(push(*worker_, 21, bytes_of("answer"), 33));
  EXPECT_FALSE(engine_->has_records());
  worker_->publish();
  EXPECT_TRUE(engine_->has_records());
  ASSERT_EQ(receive(), EngineChannel::Received::kRecord);
  EXPECT_EQ(header_.request_id, 21U);
  EXPECT_EQ(header_.type, 33);
  EXPECT_EQ(text_of(body_), "answer");
  EXPECT_FALSE(engine_->has_records());
  EXPECT_EQ(receive(), EngineChannel::Received::kNothing);
  engine_->release_token();
}

TEST_F(ChannelTest, TellsTheWorkerItsEpoch) { EXPECT_EQ(worker_->epoch(), 7U); }

TEST_F(ChannelTest, CarriesRecordsOfTheInlineLimit) {
  const std::vector<std::byte> longest(kInlineLimitBytes, std::byte{0x7e});
  ASSERT_TRUE(push(*engine_, 1, longest));
  static_cast<void>(engine_->publish());
  const auto record = worker_->try_receive();
  ASSERT_TRUE(record);
  ASSERT_TRUE(push(*worker_, 1, record->body));
  worker_->publish();
  ASSERT_EQ(receive(), EngineChannel::Received::kRecord);
  EXPECT_EQ(body_, longest);
  EXPECT_FALSE(engine_->try_reserve(kInlineLimitBytes + 1));
  EXPECT_FALSE(worker_->try_reserve(kInlineLimitBytes + 1));
}

TEST_F(ChannelTest, RingsWhomTheEngineAnnounced) {
  const auto publish_one = [&] {
    ASSERT_TRUE(push(*worker_, 1, {}));
    worker_->publish();
  };
  publish_one();
  EXPECT_FALSE(readable(engine_->caller_bell(), 0));
  EXPECT_FALSE(readable(engine_->reactor_bell(), 0));
  engine_->announce(Receiver::kCaller);
  publish_one();
  EXPECT_TRUE(readable(engine_->caller_bell(), 0));
  EXPECT_FALSE(readable(engine_->reactor_bell(), 0));
  engine_->clear_bell(Receiver::kCaller);
  EXPECT_FALSE(readable(engine_->caller_bell(), 0));
  engine_->announce(Receiver::kReactor);
  publish_one();
  EXPECT_FALSE(readable(engine_->caller_bell(), 0));
  EXPECT_TRUE(readable(engine_->reactor_bell(), 0));
}

TEST_F(ChannelTest, ClearsABellThatTheWorkerMadeBlocking) {
  // The flag belongs to the eventfd, which both sides hold.
  ASSERT_EQ(::fcntl(engine_->caller_bell(), F_SETFL, 0), 0);
  engine_->clear_bell(Receiver::kCaller);  // blocks for ever, if it depends on the flag
  engine_->announce(Receiver::kCaller);
  worker_->publish();
  ASSERT_TRUE(readable(engine_->caller_bell(), 0));
  engine_->clear_bell(Receiver::kCaller);
  EXPECT_FALSE(readable(engine_->caller_bell(), 0));
}

TEST_F(ChannelTest, GivesTheTokenToOneThreadAtATime) {
  std::uint64_t counted = 0;  // guarded by the token; TSan sees if it is not
  constexpr std::uint64_t kEach = 20'000;
  std::array<std::thread, 3> threads;
  for (std::thread& thread : threads) {
    thread = std::thread([&] {
      for (std::uint64_t done = 0; done < kEach;) {
        if (!engine_->try_take_token()) {
          std::this_thread::yield();
          continue;
        }
        EXPECT_FALSE(done % 1000 == 0 && engine_->try_take_token()) << "it is taken";
        ++counted;
        ++done;
        engine_->release_token();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counted, 3 * kEach);
}

TEST_F(ChannelTest, CarriesControlMessagesOneByOne) {
  EXPECT_FALSE(worker_->receive_control(/*wait=*/false));
  ASSERT_TRUE(engine_->send_control(bytes_of("one")));
  ASSERT_TRUE(engine_->send_control(bytes_of("and two")));
  EXPECT_EQ(text_of(worker_->receive_control(/*wait=*/true).value().bytes), "one");
  EXPECT_EQ(text_of(worker_->receive_control(/*wait=*/false).value().bytes), "and two");
  EXPECT_FALSE(worker_->receive_control(/*wait=*/false));
}

TEST_F(ChannelTest, EndsControlWithTheEngine) {
  ASSERT_TRUE(engine_->send_control(bytes_of("last words")));
  engine_.reset();
  EXPECT_EQ(text_of(worker_->receive_control(/*wait=*/true).value().bytes), "last words");
  EXPECT_FALSE(worker_->receive_control(/*wait=*/true));
}

TEST_F(ChannelTest, RefusesControlMessagesThatNobodyWillRead) {
  const std::vector<std::byte> huge(std::size_t{8} << 20);
  const auto too_large = engine_->send_control(huge);
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().kind, FaultKind::kTooLarge);

  auto sent = engine_->send_control(bytes_of("x"));
  for (int count = 0; sent && count < 100'000; ++count) sent = engine_->send_control(bytes_of("x"));
  ASSERT_FALSE(sent) << "an unread socket fills up";
  EXPECT_EQ(sent.error().kind, FaultKind::kFull);

  worker_.reset();
  const auto gone = engine_->send_control(bytes_of("x"));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, FaultKind::kPeerGone);
}

// A ring full of requests still takes a cancel.
TEST_F(ChannelTest, KeepsRoomForRecordsWithoutABody) {
  const std::vector<std::byte> body(10'000);
  while (push(*engine_, 1, body)) continue;
  for (std::size_t i = 0; i < kControlRoomBytes / sizeof(RecordHeader); ++i) {
    ASSERT_TRUE(push(*engine_, i, {}));
  }
}

TEST_F(ChannelTest, ItsHeartBeatsWhileTheWorkerWaits) {
  const std::uint64_t before = engine_->heartbeat();
  std::thread waiter([this] { EXPECT_TRUE(worker_->wait()); });
  while (engine_->heartbeat() == before) std::this_thread::yield();
  ASSERT_TRUE(push(*engine_, 1, {}));
  publish_and_ring(*engine_);
  waiter.join();
}

TEST_F(ChannelTest, EndsTheWorkersWaitWhenTheEngineIsGone) {
  worker_->set_spin_limit(std::chrono::nanoseconds{0});
  engine_.reset();
  EXPECT_FALSE(worker_->wait());
}

TEST_F(ChannelTest, EndsTheWaitForRoomWhenTheEngineIsGone) {
  while (push(*worker_, 1, bytes_of("filling"))) continue;
  const auto read_to = worker_->publish_full();
  engine_.reset();
  EXPECT_FALSE(worker_->wait_for_room(read_to.value()));
}

TEST_F(ChannelTest, WaitsForRoomUntilTheEngineHasReceived) {
  while (push(*worker_, 1, bytes_of("filling"))) continue;
  std::thread reader([&] {
    while (receive() != EngineChannel::Received::kRecord) std::this_thread::yield();
  });
  const auto read_to = worker_->publish_full();  // or there would be nothing to receive
  EXPECT_TRUE(worker_->wait_for_room(read_to.value()));
  EXPECT_TRUE(push(*worker_, 1, bytes_of("filling")));
  reader.join();
}

// The promise of isolation: what the worker's descriptors allow it to do to segment A.
TEST(ChannelSealingTest, KeepsTheWorkerFromWritingToTheEnginesSegment) {
  const auto engine = EngineChannel::create(1, kSmallestRings).value();
  const int a = engine->child_descriptors().at(0).first;
  const std::size_t bytes = kRingOffset + kMinRingBytes;
  const char byte = 1;

  EXPECT_EQ(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0), MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
  void* const view = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, a, 0);
  ASSERT_NE(view, MAP_FAILED);
  EXPECT_EQ(::mprotect(view, bytes, PROT_READ | PROT_WRITE), -1);
  EXPECT_EQ(errno, EACCES);
  ::munmap(view, bytes);
  EXPECT_EQ(::pwrite(a, &byte, 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::fallocate(a, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(a, 0), -1);
  EXPECT_EQ(errno, EPERM);
  const std::string path = "/proc/self/fd/" + std::to_string(a);
  const FileDescriptor again(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(again.is_open());
  EXPECT_EQ(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, again.get(), 0), MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
}

TEST(ChannelSealingTest, KeepsTheWorkerFromResizingEitherSegment) {
  const auto engine = EngineChannel::create(1, kSmallestRings).value();
  for (const int segment : {0, 1}) {
    const int descriptor = engine->child_descriptors().at(static_cast<std::size_t>(segment)).first;
    EXPECT_EQ(::ftruncate(descriptor, 4096), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(::ftruncate(descriptor, std::int64_t{1} << 30), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(::fcntl(descriptor, F_ADD_SEALS, F_SEAL_WRITE), -1);
    EXPECT_EQ(errno, EPERM);
  }
}

// The flags of the mappings of `name`, from /proc/self/smaps: "rw-s ... dc ..."
std::string mapping_flags(const std::string& name) {
  std::ifstream smaps("/proc/self/smaps");
  std::string flags;
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    const bool starts = line.find('-') != std::string::npos && line.find(':') > line.find('-');
    if (starts) inside = line.find("/memfd:" + name) != std::string::npos;
    if (starts && inside) flags += line.substr(line.find(' ') + 1, 4);
    if (inside && line.starts_with("VmFlags:")) flags += line.substr(8) + ";";
  }
  return flags;
}

TEST(ChannelMappingTest, LetsEachSideWriteToItsOwnSegmentOnly) {
  const auto engine = EngineChannel::create(1, kSmallestRings).value();
  EXPECT_THAT(mapping_flags("dspool-engine"), testing::StartsWith("rw-s"));
  EXPECT_THAT(mapping_flags("dspool-worker"), testing::StartsWith("r--s"));
}

TEST(ChannelMappingTest, IsNotInheritedByForks) {
  const auto engine = EngineChannel::create(1, kSmallestRings).value();
  EXPECT_THAT(mapping_flags("dspool-engine"), HasSubstr(" dc"));
  EXPECT_THAT(mapping_flags("dspool-worker"), HasSubstr(" dc"));
}

TEST(ChannelCreateTest, RefusesSizesThatAreNoRing) {
  for (const std::size_t bytes : {std::size_t{0}, kMinRingBytes / 2, kMinRingBytes + 4096}) {
    ChannelSizes sizes = kSmallestRings;
    sizes.response_bytes = bytes;
    const auto channel = EngineChannel::create(1, sizes);
    ASSERT_FALSE(channel);
    EXPECT_THAT(channel.error().what,
                HasSubstr("the response ring cannot have " + std::to_string(bytes) + " bytes"));
  }
}

// A worker's end over segments that no engine of this version made.
class ChannelAttachTest : public testing::Test {
 protected:
  Result<std::unique_ptr<WorkerChannel>> attach(const EngineHeader& header,
                                                std::size_t bytes = kRingOffset + kMinRingBytes) {
    memfd_a_ = Memfd::create("test-a", bytes);
    memfd_b_ = Memfd::create("test-b", bytes);
    EXPECT_EQ(::pwrite(memfd_a_->descriptor(), &header, sizeof header, 0),
              static_cast<ssize_t>(sizeof header));
    return WorkerChannel::attach({.segment_a = memfd_a_->descriptor(),
                                  .segment_b = memfd_b_->descriptor(),
                                  .control = -1,
                                  .caller_bell = -1,
                                  .reactor_bell = -1,
                                  .lifeline = -1,
                                  .slab = -1});
  }

  EngineHeader header_{.magic = kMagic,
                       .layout_version = kLayoutVersion,
                       .epoch = 1,
                       .request_bytes = kMinRingBytes,
                       .response_bytes = kMinRingBytes,
                       .bulk_bytes = 0,
                       .has_slab = 0,
                       .request_tail = {},
                       .response_head = {},
                       .bulk_head = {},
                       .doorbell = {},
                       .receiver = {},
                       .recalled = {},
                       .attention = {}};
  Result<Memfd> memfd_a_ = tl::unexpected(Fault{});
  Result<Memfd> memfd_b_ = tl::unexpected(Fault{});
};

TEST_F(ChannelAttachTest, RefusesAnotherLayoutVersion) {
  header_.layout_version = kLayoutVersion + 1;
  const auto attached = attach(header_);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().kind, FaultKind::kMismatch);
  EXPECT_THAT(attached.error().what,
              HasSubstr("layout version " + std::to_string(kLayoutVersion + 1)));
}

TEST_F(ChannelAttachTest, RefusesWhatIsNoChannel) {
  header_.magic = 1;
  EXPECT_EQ(attach(header_).error().kind, FaultKind::kMismatch);
}

TEST_F(ChannelAttachTest, RefusesSegmentsOfOtherSizesThanTheHeaderSays) {
  header_.response_bytes = 2 * kMinRingBytes;
  EXPECT_EQ(attach(header_).error().kind, FaultKind::kMismatch);
  header_.response_bytes = kMinRingBytes;
  EXPECT_EQ(attach(header_, kRingOffset).error().kind, FaultKind::kMismatch);
}

TEST_F(ChannelAttachTest, LeavesTheDescriptorsAloneWhenItFails) {
  header_.magic = 1;
  ASSERT_FALSE(attach(header_));
  EXPECT_NE(::fcntl(memfd_a_->descriptor(), F_GETFD), -1);
  EXPECT_NE(::fcntl(memfd_b_->descriptor(), F_GETFD), -1);
}

TEST_F(ChannelAttachTest, SaysWhichDescriptorIsMissing) {
  const auto attached = WorkerChannel::attach({.segment_a = 1023,
                                               .segment_b = -1,
                                               .control = -1,
                                               .caller_bell = -1,
                                               .reactor_bell = -1,
                                               .lifeline = -1,
                                               .slab = -1});
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().kind, FaultKind::kSystem);
  EXPECT_THAT(attached.error().what, HasSubstr("descriptor 1023"));
}

}  // namespace
}  // namespace dspool::ipc
