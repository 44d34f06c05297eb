#include "ipc/child_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "ipc/pidfd.h"
#include "tests/ipc/child.h"

namespace dspool::ipc {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

ChildOptions shell(const std::string& script) {
  return {.program = "/bin/sh",
          .arguments = {"-c", script},
          .environment = {"PATH=/usr/bin:/bin"},
          .descriptors = {}};
}

ChildOptions python(const std::string& script) {
  return {.program = "/usr/bin/python3",
          .arguments = {"-I", "-S", "-c", script},
          .environment = {},
          .descriptors = {}};
}

// The readable end of a pipe that says `text`.
FileDescriptor saying(const std::string& text) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  EXPECT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  return FileDescriptor(ends[0]);
}

TEST(ChildProcessTest, TellsHowItEnded) {
  EXPECT_EQ(wait_for_end(*spawn(shell("exit 0"))).describe(), "exit status 0");
  EXPECT_EQ(wait_for_end(*spawn(shell("exit 7"))).describe(), "exit status 7");
  EXPECT_EQ(wait_for_end(*spawn(shell("kill -SEGV $$"))).describe(), "killed by SIGSEGV");
}

TEST(ChildProcessTest, CanBeReapedOnlyOnceItHasEnded) {
  const auto child = spawn(shell("exec sleep 1000"));
  EXPECT_FALSE(child->try_reap());
  EXPECT_FALSE(readable(child->pidfd(), 0));
  child->kill_group(SIGKILL);
  const ExitStatus status = wait_for_end(*child);
  EXPECT_TRUE(status.signalled);
  EXPECT_EQ(status.code, SIGKILL);
  EXPECT_EQ(child->try_reap().value().describe(), "killed by SIGKILL") << "the status stays";
  EXPECT_EQ(::kill(child->pid(), 0), -1) << "no zombie is left";
  child->kill_group(SIGKILL);  // of nobody
}

TEST(ChildProcessTest, SaysWhatCouldNotBeExecuted) {
  const auto child = ChildProcess::spawn(
      {.program = "/nonexistent/program", .arguments = {}, .environment = {}, .descriptors = {}});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().kind, FaultKind::kSystem);
  EXPECT_EQ(child.error().what,
            "cannot execute /nonexistent/program: No such file or directory (errno 2)");
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
}

TEST(ChildProcessTest, SaysWhichDescriptorsCouldNotBeGiven) {
  ChildOptions options = shell("exit 0");
  options.descriptors = {{1023, 3}};
  const auto child = ChildProcess::spawn(options);
  ASSERT_FALSE(child);
  EXPECT_THAT(child.error().what, HasSubstr("descriptors of /bin/sh: Bad file descriptor"));
}

TEST(ChildProcessTest, HasExactlyTheEnvironmentGiven) {
  const auto child = spawn({.program = "/usr/bin/env",
                            .arguments = {},
                            .environment = {"ONE=1", "TWO=with spaces = and more"},
                            .descriptors = {}});
  EXPECT_EQ(read_text(child->standard_output()), "ONE=1\nTWO=with spaces = and more\n");
}

TEST(ChildProcessTest, HasItsProgramsPathAsItsFirstArgument) {
  const auto child = spawn(
      {.program = "/bin/sh",
       .arguments = {"-c", R"(echo "$1,$2"; tr '\0' , < /proc/$$/cmdline)", "name", "a b", ""},
       .environment = {"PATH=/usr/bin:/bin"},
       .descriptors = {}});
  const std::string text = read_text(child->standard_output());
  EXPECT_THAT(text, StartsWith("a b,\n/bin/sh,-c,"));
}

// The sources stand where other sources must arrive, in a circle; and open descriptors that would
// be inherited do not arrive.
TEST(ChildProcessTest, GivesDescriptorsTheirNumbersAndNoOthers) {
  const FileDescriptor a = saying("a");
  const FileDescriptor b = saying("b");
  const FileDescriptor c = saying("c");
  const int far = c.get() + 20;
  const FileDescriptor leak_below(::fcntl(STDIN_FILENO, F_DUPFD, 3));
  const FileDescriptor leak_above(::fcntl(STDIN_FILENO, F_DUPFD, far + 5));
  ASSERT_TRUE(leak_below.get() < far && leak_above.get() > far);
  ChildOptions options = python(
      "import os\n"
      "def is_open(fd):\n"
      "    try: os.fstat(fd)\n"
      "    except OSError: return False\n"
      "    return True\n"
      "for fd in filter(is_open, range(3, 200)): print(fd, os.read(fd, 9).decode(), end=' ')");
  options.descriptors = {
      {a.get(), b.get()}, {b.get(), c.get()}, {c.get(), a.get()}, {a.get(), far}};
  // All three read one pipe's byte, so `a` is said at one of its two numbers only.
  const auto child = spawn(options);
  const auto pair = [](int number, const char* text) {
    return std::to_string(number) + " " + text + " ";
  };
  EXPECT_EQ(read_text(child->standard_output()),
            pair(a.get(), "c") + pair(b.get(), "a") + pair(c.get(), "b") + pair(far, ""));
  EXPECT_EQ(read_text(child->standard_error()), "");
}

TEST(ChildProcessTest, HasItsOutputAndErrorsOnPipesAndNoInput) {
  const auto child = spawn(shell("cat; echo out; echo err >&2; readlink /proc/$$/fd/0"));
  EXPECT_EQ(read_text(child->standard_output()), "out\n/dev/null\n");
  EXPECT_EQ(read_text(child->standard_error()), "err\n");
  EXPECT_NE(::fcntl(child->standard_output(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(child->standard_error(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(ChildProcessTest, NeitherBlocksNorIgnoresSignals) {
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto handler = ::signal(SIGPIPE, SIG_IGN);
  const auto child = spawn({.program = "/bin/grep",
                            .arguments = {"Sig[BI]", "/proc/self/status"},
                            .environment = {},
                            .descriptors = {}});
  EXPECT_EQ(read_text(child->standard_output()),
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, &before, &after);
  EXPECT_TRUE(::sigismember(&after, SIGTERM) == 1 && ::sigismember(&after, SIGINT) == 0)
      << "ours are as they were";
  ::signal(SIGPIPE, handler);
}

TEST(ChildProcessTest, LeadsAGroupOfItsOwn) {
  const auto child = spawn(shell("exec sleep 1000"));
  EXPECT_EQ(::getpgid(child->pid()), child->pid());
}

TEST(ChildProcessTest, TakesTheRestOfItsGroupAlongWhenItIsReaped) {
  const auto child = spawn(shell("sleep 1000 & echo $!"));
  const FileDescriptor grandchild = watch(read_text(child->standard_output(), true));
  ASSERT_TRUE(grandchild.is_open());
  wait_for_end(*child);
  EXPECT_TRUE(readable(grandchild.get()));
}

TEST(ChildProcessTest, TakesItsGroupAlongWhenItIsDestroyed) {
  auto child = spawn(shell("sleep 1000 & echo $!; wait"));
  const FileDescriptor grandchild = watch(read_text(child->standard_output(), true));
  const FileDescriptor leader = watch(std::to_string(child->pid()));
  ASSERT_TRUE(grandchild.is_open() && leader.is_open());
  child.reset();
  EXPECT_TRUE(readable(leader.get(), 0)) << "the destructor reaps";
  EXPECT_TRUE(readable(grandchild.get()));
}

TEST(ChildProcessTest, TellsThatSomebodyElseTookItsStatus) {
  const auto child = spawn(shell("exit 3"));
  ASSERT_EQ(::waitpid(child->pid(), nullptr, 0), child->pid());
  EXPECT_EQ(child->try_reap().value().code, ExitStatus::kUnknown);
}

// A parent in between is killed; nobody but the kernel can end its child.
TEST(ChildProcessTest, DiesWithItsParent) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const FileDescriptor reader(ends[0]);
  FileDescriptor writer(ends[1]);
  const pid_t parent = ::fork();
  ASSERT_NE(parent, -1);
  if (parent == 0) {
    const auto child = ChildProcess::spawn(shell("exec sleep 1000"));
    const std::string pid = std::to_string(child ? (*child)->pid() : 0) + "\n";
    [[maybe_unused]] const ssize_t written = ::write(writer.get(), pid.data(), pid.size());
    while (true) ::pause();
  }
  writer.close();
  const FileDescriptor orphan = watch(read_text(reader.get(), true));
  ASSERT_TRUE(orphan.is_open());
  EXPECT_FALSE(readable(orphan.get(), 0));
  ASSERT_EQ(::kill(parent, SIGKILL), 0);
  EXPECT_TRUE(readable(orphan.get()));
  ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);
}

// A process that `parent` has forked, as the leader of a group.
std::unique_ptr<ChildProcess> adopt_child_of(const ChildProcess& parent) {
  auto child = ChildProcess::adopt(watch(read_text(parent.standard_output(), true)), {}, {});
  EXPECT_TRUE(child);
  return child ? std::move(*child) : nullptr;
}

std::unique_ptr<ChildProcess> spawn_forking_parent() {
  return spawn(
      python("import os, time\n"
             "child = os.fork()\n"
             "if child == 0:\n"
             "    os.setpgid(0, 0)\n"
             "    time.sleep(1000)\n"
             "os.setpgid(child, child)\n"
             "print(child, flush=True)\n"
             "os.waitpid(child, 0)\n"
             "time.sleep(1000)\n"));
}

TEST(AdoptedProcessTest, HasEndedWhenItsParentHasSaidHow) {
  const auto parent = spawn_forking_parent();
  const auto child = adopt_child_of(*parent);
  ASSERT_NE(child, nullptr);
  EXPECT_FALSE(child->try_reap());
  child->kill_group(SIGKILL);
  ASSERT_TRUE(readable(child->pidfd()));
  EXPECT_FALSE(child->try_reap()) << "it has ended, and it is not known how";
  EXPECT_TRUE(child->awaits_word());
  child->tell_end({.signalled = true, .code = SIGKILL});
  EXPECT_FALSE(child->awaits_word());
  EXPECT_EQ(child->try_reap().value().describe(), "killed by SIGKILL");
  child->kill_group(SIGKILL);  // of nobody
}

TEST(AdoptedProcessTest, LivesWhateverItsParentSays) {
  const auto parent = spawn_forking_parent();
  const auto child = adopt_child_of(*parent);
  ASSERT_NE(child, nullptr);
  child->tell_end({.signalled = false, .code = 0});
  EXPECT_FALSE(child->try_reap());
}

// Who inherits it may be this process, which can tell then.
TEST(AdoptedProcessTest, OutlivesItsParentAndMayEndUntold) {
  auto parent = spawn_forking_parent();
  const auto child = adopt_child_of(*parent);
  ASSERT_NE(child, nullptr);
  parent.reset();
  child->tell_parent_ended();
  EXPECT_FALSE(child->try_reap());
  EXPECT_FALSE(child->awaits_word());
  child->kill(SIGKILL);
  ASSERT_TRUE(readable(child->pidfd()));
  EXPECT_THAT(child->try_reap().value().describe(),
              AnyOf("ended, and nobody could tell how", "killed by SIGKILL"));
}

TEST(AdoptedProcessTest, EndsWithItsOwner) {
  const auto parent = spawn_forking_parent();
  auto child = adopt_child_of(*parent);
  ASSERT_NE(child, nullptr);
  const FileDescriptor end = open_pidfd(child->pid());
  child.reset();
  EXPECT_TRUE(readable(end.get(), 0));
}

TEST(AdoptedProcessTest, MayHaveBeenReapedBefore) {
  const auto other = spawn(shell("exit 7"));
  FileDescriptor pidfd = open_pidfd(other->pid());
  ASSERT_EQ(wait_for_end(*other).code, 7);
  const auto child = ChildProcess::adopt(std::move(pidfd), {}, {}).value();
  child->kill_group(SIGKILL);  // of nobody
  EXPECT_FALSE(child->try_reap());
  child->tell_end({.signalled = false, .code = 7});
  EXPECT_EQ(child->try_reap().value().describe(), "exit status 7");
}

TEST(AdoptedProcessTest, IsNothingButAProcess) {
  const auto child = ChildProcess::adopt(saying("Pid:\t1\n"), {}, {});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().kind, FaultKind::kViolation);
}

}  // namespace
}  // namespace dspool::ipc
