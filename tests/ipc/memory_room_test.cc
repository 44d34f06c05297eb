#include "ipc/memory_room.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "ipc/engine_channel.h"

namespace dspool::ipc {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

// A tree of files that looks like the kernel's, below a temporary directory.
class MemoryRoomTest : public testing::Test {
 protected:
  MemoryRoomTest() {
    write("proc/meminfo",
          "MemTotal:       24684160 kB\nMemFree:        1 kB\n"
          "MemAvailable:    2097152 kB\n");
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  void mount_v1(const std::string& root, const std::string& own_path) const {
    write("proc/self/mountinfo", "35 31 0:32 " + root +
                                     " /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup "
                                     "rw,memory\n");
    write("proc/self/cgroup", "7:cpu:/x\n4:memory:" + own_path + "\n0::/\n");
  }

  void mount_v2(const std::string& root, const std::string& own_path) const {
    write("proc/self/mountinfo",
          "41 31 0:38 " + root + " /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n");
    write("proc/self/cgroup", "0::" + own_path + "\n");
  }

  fs::path root_ = fs::path(testing::TempDir()) / ("memory_room_" + std::to_string(::getpid()));
};

TEST_F(MemoryRoomTest, IsWhatTheMachineHasAvailable) {
  const MemoryRoom room = measure_memory_room(root_);
  EXPECT_EQ(room.available_bytes, 2048 * kMiB);
  EXPECT_EQ(room.limited_by, "MemAvailable");
}

TEST_F(MemoryRoomTest, IsWhatACgroupOfVersion2Leaves) {
  mount_v2("/", "/pool/a");
  write("sys/fs/cgroup/pool/a/memory.max", "104857600\n");
  write("sys/fs/cgroup/pool/a/memory.current", "62914560\n");
  EXPECT_EQ(measure_memory_room(root_).available_bytes, 40 * kMiB);
  EXPECT_THAT(measure_memory_room(root_).limited_by, HasSubstr("/sys/fs/cgroup/pool/a"));
}

TEST_F(MemoryRoomTest, CountsPageCacheThatTheKernelWouldDrop) {
  mount_v2("/", "/pool");
  write("sys/fs/cgroup/pool/memory.max", "104857600\n");
  write("sys/fs/cgroup/pool/memory.current", "104857600\n");
  write("sys/fs/cgroup/pool/memory.stat", "anon 1\ninactive_file 10485760\nactive_file 5\n");
  EXPECT_EQ(measure_memory_room(root_).available_bytes, 10 * kMiB);
}

TEST_F(MemoryRoomTest, IsWhatTheTightestEnclosingCgroupLeaves) {
  mount_v2("/", "/pool/a");
  write("sys/fs/cgroup/pool/a/memory.max", "max\n");
  write("sys/fs/cgroup/pool/a/memory.current", "5\n");
  write("sys/fs/cgroup/pool/memory.max", "20971520\n");
  write("sys/fs/cgroup/pool/memory.current", "10485760\n");
  EXPECT_EQ(measure_memory_room(root_).available_bytes, 10 * kMiB);
}

TEST_F(MemoryRoomTest, IsWhatACgroupOfVersion1Leaves) {
  mount_v1("/", "/pool");
  write("sys/fs/cgroup/memory/pool/memory.limit_in_bytes", "104857600\n");
  write("sys/fs/cgroup/memory/pool/memory.usage_in_bytes", "94371840\n");
  write("sys/fs/cgroup/memory/pool/memory.stat", "inactive_file 1\ntotal_inactive_file 1048576\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", "94371840\n");
  EXPECT_EQ(measure_memory_room(root_).available_bytes, 11 * kMiB);
}

// The path is the host's, while the mount shows only the container's part of the hierarchy.
TEST_F(MemoryRoomTest, FindsTheCgroupOfAContainer) {
  mount_v1("/docker/abc", "/docker/abc/inner");
  write("sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "3145728\n");
  write("sys/fs/cgroup/memory/inner/memory.usage_in_bytes", "1048576\n");
  EXPECT_EQ(measure_memory_room(root_).available_bytes, 2 * kMiB);
  mount_v1("/docker/abc", "/docker/abc");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "2097152\n");
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1048576\n");
  EXPECT_EQ(measure_memory_room(root_).available_bytes, 1 * kMiB);
}

TEST_F(MemoryRoomTest, IsNothingInACgroupAboveItsLimit) {
  mount_v2("/", "/");
  write("sys/fs/cgroup/memory.max", "1048576\n");
  write("sys/fs/cgroup/memory.current", "2097152\n");
  EXPECT_EQ(measure_memory_room(root_).available_bytes, 0U);
}

TEST_F(MemoryRoomTest, IsNotLimitedByWhatCannotBeRead) {
  mount_v2("/", "/gone");
  EXPECT_EQ(measure_memory_room(root_).available_bytes, 2048 * kMiB);
}

TEST_F(MemoryRoomTest, SaysHowMuchWasAskedAndHowMuchThereIs) {
  const auto fits = check_memory_room(11 * kMiB + 1, {10 * kMiB + 5, "MemAvailable"});
  ASSERT_FALSE(fits);
  EXPECT_EQ(fits.error().kind, FaultKind::kNoMemory);
  EXPECT_THAT(fits.error().what, HasSubstr("12 MiB of shared memory are asked for"));
  EXPECT_THAT(fits.error().what, HasSubstr("10 MiB are available (MemAvailable)"));
  EXPECT_TRUE(check_memory_room(10 * kMiB, {10 * kMiB, "MemAvailable"}));
}

TEST_F(MemoryRoomTest, RefusesAChannelThatTheMachineCannotHold) {
  const auto channel = EngineChannel::create(
      1, {.request_bytes = std::size_t{1} << 40, .response_bytes = std::size_t{1} << 20});
  ASSERT_FALSE(channel);
  EXPECT_EQ(channel.error().kind, FaultKind::kNoMemory);
  EXPECT_THAT(channel.error().what, HasSubstr("1048578 MiB of shared memory are asked for"));
}

TEST_F(MemoryRoomTest, RefusesSizesWhoseSumOverflows) {
  const auto channel = EngineChannel::create(
      1, {.request_bytes = std::size_t{1} << 63, .response_bytes = std::size_t{1} << 63});
  ASSERT_FALSE(channel);
  EXPECT_EQ(channel.error().kind, FaultKind::kNoMemory);
}

}  // namespace
}  // namespace dspool::ipc
