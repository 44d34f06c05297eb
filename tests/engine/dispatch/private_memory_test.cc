#include "engine/dispatch/private_memory.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

namespace dspool::dispatch {
namespace {

TEST(PrivateMemoryTest, OfNobodyIsNothing) { EXPECT_EQ(private_memory_bytes(0), 0U); }

// A worker hides its memory from its own user, who runs the engine: how much it is stays known.
TEST(PrivateMemoryTest, IsKnownOfAProcessThatCannotBeDumped) {
  constexpr uid_t kNobody = 65534;
  const pid_t reader = ::fork();
  if (reader == 0) {
    if (::getuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) ::_exit(1);
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) ::_exit(2);
    const pid_t hidden = ::fork();
    if (hidden == 0) {
      ::prctl(PR_SET_DUMPABLE, 0);
      [[maybe_unused]] const ssize_t told = ::write(ends[1], "", 1);
      while (true) ::pause();
    }
    char ignored = 0;
    if (::read(ends[0], &ignored, 1) != 1) ::_exit(3);
    const bool known = private_memory_bytes(hidden) > 0;
    ::kill(hidden, SIGKILL);
    ::waitpid(hidden, nullptr, 0);
    ::_exit(known ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(reader, &status, 0), reader);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace dspool::dispatch
