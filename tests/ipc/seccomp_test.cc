// The filter denies what it names, and no Python program misses it.
#include "ipc/seccomp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <cerrno>

#include "tests/ipc/child.h"

namespace dspool::ipc {
namespace {

using testing::HasSubstr;

ChildOptions filtered_python(const std::string& script) {
  return {.program = "/usr/bin/python3",
          .arguments = {"-I", "-S", "-c", script},
          .environment = {"PATH=/usr/bin:/bin"},
          .descriptors = {},
          .limits = {},
          .filters_system_calls = true};
}

// What errno a system call ends with there, all its arguments being zero but the first.
std::string errno_of(long number, long first = 0) {
  const auto child =
      spawn(filtered_python("import ctypes\n"
                            "libc = ctypes.CDLL(None, use_errno=True)\n"
                            "result = libc.syscall(ctypes.c_long(" +
                            std::to_string(number) + "), ctypes.c_long(" + std::to_string(first) +
                            "), 0, 0, 0, 0, 0)\n"
                            "print(ctypes.get_errno() if result == -1 else 'done', end='')"));
  return read_text(child->standard_output());
}

TEST(SeccompTest, IsInForceFromTheFirstInstruction) {
  const auto child = spawn({.program = "/bin/grep",
                            .arguments = {"Seccomp:", "/proc/self/status"},
                            .environment = {},
                            .descriptors = {},
                            .limits = {},
                            .filters_system_calls = true});
  EXPECT_EQ(read_text(child->standard_output()), "Seccomp:\t2\n");
}

TEST(SeccompTest, DeniesWhatReachesBeyondTheProcess) {
  const std::string denied = std::to_string(EPERM);
  for (const long number :
       {SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_bpf, SYS_mount,
        SYS_userfaultfd, SYS_keyctl, SYS_perf_event_open, SYS_kexec_load, SYS_unshare, SYS_setns,
        SYS_io_uring_setup, SYS_pidfd_getfd, SYS_clock_adjtime}) {
    EXPECT_EQ(errno_of(number), denied) << "system call " << number;
  }
}

TEST(SeccompTest, DeniesNewNamespacesHoweverTheyAreAskedFor) {
  constexpr long kNewUser = 0x10000000;
  EXPECT_EQ(errno_of(SYS_clone, kNewUser), std::to_string(EPERM));
  EXPECT_EQ(errno_of(SYS_clone3), std::to_string(ENOSYS));
}

TEST(SeccompTest, AllowsTheRest) {
  EXPECT_EQ(errno_of(SYS_getpid), "done");
  EXPECT_EQ(errno_of(SYS_close, -1), std::to_string(EBADF));
}

TEST(SeccompTest, LeavesThreadsProcessesAndSocketsToPython) {
  const auto child = spawn(
      filtered_python("import os, socket, subprocess, threading\n"
                      "thread = threading.Thread(target=print, args=('thread',))\n"
                      "thread.start()\n"
                      "thread.join()\n"
                      "pid = os.fork()\n"
                      "if pid == 0: os._exit(7)\n"
                      "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
                      "print(subprocess.run(['echo', 'program'], capture_output=True).stdout)\n"
                      "server = socket.create_server(('127.0.0.1', 0))\n"
                      "socket.create_connection(server.getsockname())\n"
                      "print('connected')"));
  EXPECT_EQ(read_text(child->standard_output()), "thread\n7\nb'program\\n'\nconnected\n");
  EXPECT_EQ(read_text(child->standard_error()), "");
}

TEST(SeccompTest, HoldsForWhatTheProcessStarts) {
  const auto child =
      spawn(filtered_python("import subprocess\n"
                            "print(subprocess.run(['grep', 'Seccomp:', '/proc/self/status'], "
                            "capture_output=True).stdout)"));
  EXPECT_THAT(read_text(child->standard_output()), HasSubstr("2"));
}

}  // namespace
}  // namespace dspool::ipc
