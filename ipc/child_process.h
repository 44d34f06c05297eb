// A child process that cannot be mistaken for another and leaves nothing behind: a pidfd, a
// process group of its own, SIGKILL at the death of the thread that spawned it (PDEATHSIG), and
// its standard output and error on pipes. It can gain no privilege by what it executes
// (no_new_privs) and leaves no core behind.
//
// It may be another's child (adopt): of a process that forks for this one, and alone can reap it.
// That one ends what is left of its group, reaps it, and tells how it ended (tell_end). It has no
// PDEATHSIG, since it is to outlive its parent. A child whose parent has ended before
// (tell_parent_ended) is reaped by whoever inherits it, and how it ended may remain unknown.
//
// Crash: when the parent is killed, PDEATHSIG ends the child; the lifeline descriptor ends its
// group. Destroying a ChildProcess kills the group before the leader is reaped: until then no
// other process can have its number.
//
// Threads: all functions may be called from any thread; only `spawn` cares which (PDEATHSIG).
#pragma once

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ipc/child_limits.h"
#include "ipc/fault.h"
#include "ipc/file_descriptor.h"

namespace dspool::ipc {

struct ChildOptions {
  std::string program;                           // absolute path; also argv[0]
  std::vector<std::string> arguments;            // without argv[0]
  std::vector<std::string> environment;          // "NAME=value", the child's whole environment
  std::vector<std::pair<int, int>> descriptors;  // (here, number in the child); all others close
  ChildLimits limits = {};
  bool filters_system_calls = false;  // seccomp.h
  std::vector<int> cgroups = {};      // that it enters: their cgroup.procs, open for writing
};

struct ExitStatus {
  bool signalled = false;
  int code = 0;                                // exit code, or the signal's number, or:
  static constexpr int kUnknown = -1;          // somebody else in this process reaped it
  static constexpr int kUntold = -2;           // who could have told ended before it
  [[nodiscard]] std::string describe() const;  // "exit status 1", "killed by SIGKILL"
};

// How the child of this pidfd ended, without reaping it; nothing while it runs, or where it is not
// ours.
[[nodiscard]] std::optional<ExitStatus> peek_exit_status(int pidfd) noexcept;

class ChildProcess {
 public:
  // Returns when the program has begun, or could not (kSystem, naming it). The child starts with
  // no signal blocked or ignored and with standard input from /dev/null.
  // To be called from one thread that lives as long as the children should (PDEATHSIG).
  // REQUIRES: the numbers in the child are above 2 and differ from each other; nobody else reaps
  // this process's children (SIGCHLD is not ignored).
  static Result<std::unique_ptr<ChildProcess>> spawn(const ChildOptions& options);
  // One that another process has forked, as the leader of a group; perhaps it has ended and was
  // reaped before. Errors: kViolation where that is no process's pidfd.
  static Result<std::unique_ptr<ChildProcess>> adopt(FileDescriptor pidfd,
                                                     FileDescriptor standard_output,
                                                     FileDescriptor standard_error);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  [[nodiscard]] int pid() const noexcept { return pid_; }  // 0: it was reaped before it was adopted
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }  // readable: it has ended
  // Pipes' readable ends, non-blocking.
  [[nodiscard]] int standard_output() const noexcept { return standard_output_.get(); }
  [[nodiscard]] int standard_error() const noexcept { return standard_error_.get(); }
  // To the child alone, and to its group. Nothing happens once the child was reaped.
  void kill(int signal) noexcept;
  void kill_group(int signal) noexcept;
  // Nothing while it runs. Kills what is left of the group before reaping. The status stays.
  std::optional<ExitStatus> try_reap();

  // ---- of another's child ----
  // It has ended, and its parent has reaped it. Nothing happens where it was not adopted.
  void tell_end(const ExitStatus& status);
  // Its parent has ended, so that nobody will tell.
  void tell_parent_ended();
  // Whether `try_reap` waits for one of these; its pidfd may be readable by then.
  [[nodiscard]] bool awaits_word();

 private:
  enum class Parent { kThis, kOther, kNobody };

  ChildProcess(pid_t pid, Parent parent, FileDescriptor pidfd, FileDescriptor standard_output,
               FileDescriptor standard_error) noexcept;
  void kill_group_locked(int signal) const noexcept;

  const pid_t pid_;
  const FileDescriptor pidfd_;
  const FileDescriptor standard_output_;
  const FileDescriptor standard_error_;
  std::mutex mutex_;                  // no signal is sent to a number that was given back
  std::optional<ExitStatus> status_;  // set: reaped
  Parent parent_;
  std::optional<ExitStatus> told_;  // of another's child
};

}  // namespace dspool::ipc
