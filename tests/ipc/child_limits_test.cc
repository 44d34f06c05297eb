// What a child may take, and that it can gain nothing.
#include "ipc/child_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "tests/ipc/child.h"

namespace dspool::ipc {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kLimitBytes = std::uint64_t{100} << 20;

ChildOptions limited_python(const std::string& script, const ChildLimits& limits) {
  return {.program = "/usr/bin/python3",
          .arguments = {"-I", "-S", "-c", script},
          .environment = {},
          .descriptors = {},
          .limits = limits};
}

constexpr const char* kPrintLimits =
    "import resource\n"
    "for each in 'CORE', 'DATA', 'NOFILE':\n"
    "    print(*resource.getrlimit(getattr(resource, 'RLIMIT_' + each)), end=' ')";

TEST(ChildLimitsTest, AreWhatTheChildHasFromItsFirstInstruction) {
  const auto child =
      spawn(limited_python(kPrintLimits, {.memory_bytes = kLimitBytes, .open_files = 100}));
  const std::string bytes = std::to_string(kLimitBytes);
  EXPECT_EQ(read_text(child->standard_output()), "0 0 " + bytes + " " + bytes + " 100 100 ");
}

TEST(ChildLimitsTest, AreNotAboveOurs) {
  rlimit ours{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &ours), 0);
  const auto limits = resource_limits({.memory_bytes = 0, .open_files = ~std::uint64_t{0} - 1});
  ASSERT_EQ(limits.size(), 2U) << "no core, and files";
  EXPECT_EQ(limits[1].limit.rlim_max, ours.rlim_max);
}

TEST(ChildLimitsTest, MakeAnAllocationBeyondThemFail) {
  const auto child =
      spawn(limited_python("try: bytearray(200 << 20)\n"
                           "except MemoryError: print('refused')",
                           {.memory_bytes = kLimitBytes, .open_files = 0}));
  EXPECT_EQ(read_text(child->standard_output()), "refused\n");
  EXPECT_EQ(wait_for_end(*child).describe(), "exit status 0");
}

TEST(ChildLimitsTest, CanBeSetOnAProcessThatRuns) {
  const auto child = spawn(limited_python(
      std::string("import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, "
                  "{signal.SIGUSR1})\nprint(flush=True)\nsignal.sigwait({signal.SIGUSR1})\n") +
          kPrintLimits,
      {}));
  EXPECT_EQ(read_text(child->standard_output(), true), "\n");
  ASSERT_TRUE(limit_process(child->pid(), {.memory_bytes = kLimitBytes, .open_files = 77}));
  child->kill(SIGUSR1);
  EXPECT_THAT(read_text(child->standard_output()),
              HasSubstr(std::to_string(kLimitBytes) + " 77 77"));
}

TEST(ChildLimitsTest, OfNoProcessAreAnError) {
  const auto child = spawn(limited_python("", {}));
  const int pid = child->pid();
  wait_for_end(*child);
  const auto limited = limit_process(pid, {.memory_bytes = 0, .open_files = 64});
  ASSERT_FALSE(limited);
  EXPECT_THAT(limited.error().what, HasSubstr("No such process"));
}

TEST(ChildLimitsTest, NoPrivilegeCanBeGainedByExecutingAnything) {
  const auto child = spawn({.program = "/bin/grep",
                            .arguments = {"NoNewPrivs", "/proc/self/status"},
                            .environment = {},
                            .descriptors = {}});
  EXPECT_EQ(read_text(child->standard_output()), "NoNewPrivs:\t1\n");
}

// Runs `body` in a process that has no privilege, and returns what that returned.
template <typename Body>
int run_unprivileged(Body body) {
  constexpr uid_t kNobody = 65534;
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::getuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) ::_exit(100);
    ::_exit(body());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A worker hides its memory from its own user before it is limited.
TEST(ChildLimitsTest, CanBeSetByItsUserOnAProcessThatCannotBeDumped) {
  EXPECT_EQ(run_unprivileged([] {
              std::array<int, 2> ends{};
              if (::pipe(ends.data()) != 0) return 1;
              const pid_t hidden = ::fork();
              if (hidden == 0) {
                ::prctl(PR_SET_DUMPABLE, 0);
                [[maybe_unused]] const ssize_t told = ::write(ends[1], "", 1);
                while (true) ::pause();
              }
              char ignored = 0;
              if (::read(ends[0], &ignored, 1) != 1) return 2;
              const bool limited =
                  limit_process(hidden, {.memory_bytes = 0, .open_files = 64}).has_value();
              ::kill(hidden, SIGKILL);
              ::waitpid(hidden, nullptr, 0);
              return limited ? 0 : 3;
            }),
            0);
}

}  // namespace
}  // namespace dspool::ipc
