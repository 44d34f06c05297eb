#include "ipc/memfd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace dspool::ipc {
namespace {

constexpr std::size_t kBytes = 4096;

// The kernel holds pages for a moment on its own account too, when it compacts memory; a pipe holds
// them for as long as the test needs.
TEST(MemfdTest, IsSealedWhileTheKernelHoldsItsPages) {
  Memfd memfd = Memfd::create("held", kBytes).value();
  const std::array<char, kBytes> bytes{1};
  ASSERT_EQ(::pwrite(memfd.descriptor(), bytes.data(), kBytes, 0), static_cast<ssize_t>(kBytes));
  std::array<int, 2> ends{-1, -1};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const FileDescriptor readable(ends[0]);
  const FileDescriptor writable(ends[1]);
  loff_t at = 0;
  ASSERT_EQ(::splice(memfd.descriptor(), &at, writable.get(), nullptr, kBytes, 0),
            static_cast<ssize_t>(kBytes));
  ASSERT_EQ(::fcntl(memfd.descriptor(), F_ADD_SEALS, F_SEAL_WRITE), -1);
  ASSERT_EQ(errno, EBUSY);
  EXPECT_TRUE(memfd.seal(Seal::kSizeAndContent));
}

TEST(MemfdTest, WhoseContentIsSealedIsWrittenToByNobody) {
  Memfd memfd = Memfd::create("sealed", kBytes).value();
  ASSERT_TRUE(memfd.seal(Seal::kSizeAndContent));
  const char byte = 1;
  EXPECT_EQ(::pwrite(memfd.descriptor(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::fallocate(memfd.descriptor(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kBytes),
            -1);
  EXPECT_EQ(errno, EPERM);
}

}  // namespace
}  // namespace dspool::ipc
