#include "ipc/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "ipc/exec_child.h"
#include "ipc/pidfd.h"
#include "ipc/pipe.h"
#include "ipc/seccomp.h"

namespace dspool::ipc {
namespace {

// The null-terminated array that execve wants, of strings that outlive it.
std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (std::string& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::pair<int, int>> sorted_by_target(std::vector<std::pair<int, int>> descriptors) {
  const auto target = [](const auto& pair) { return pair.second; };
  std::ranges::sort(descriptors, {}, target);
  assert(std::ranges::adjacent_find(descriptors, {}, target) == descriptors.end());
  assert(descriptors.empty() || descriptors.front().second > STDERR_FILENO);
  return descriptors;
}

// Forks with all signals blocked, so that no handler of this process runs in the child.
pid_t fork_to_exec(const ExecPlan& plan) noexcept {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) exec_child(plan);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

// Waits until the child has closed the pipe by exec, or said why it could not.
std::optional<ExecFailure> read_failure(int pipe) noexcept {
  ExecFailure failure{};
  ssize_t bytes = 0;
  do {
    bytes = ::read(pipe, &failure, sizeof failure);
  } while (bytes < 0 && errno == EINTR);
  if (bytes != static_cast<ssize_t>(sizeof failure)) return std::nullopt;
  return failure;
}

std::string describe(ExecStep step, const std::string& program) {
  switch (step) {
    case ExecStep::kCgroups:
      return "cannot put into its cgroup " + program;
    case ExecStep::kDescriptors:
      return "cannot arrange the descriptors of " + program;
    case ExecStep::kProcess:
      return "cannot set up the process of " + program;
    case ExecStep::kSignals:
      return "cannot reset the signals of " + program;
    case ExecStep::kLimits:
      return "cannot limit " + program;
    case ExecStep::kExec:
      break;
  }
  return "cannot execute " + program;
}

}  // namespace

std::string ExitStatus::describe() const {
  if (code == kUnknown) return "ended, and something else in this process took its exit status";
  if (code == kUntold) return "ended, and nobody could tell how";
  if (!signalled) return "exit status " + std::to_string(code);
  const char* name = ::sigabbrev_np(code);
  return "killed by " +
         (name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(code));
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::spawn(const ChildOptions& options) {
  std::vector<std::string> arguments = options.arguments;
  arguments.insert(arguments.begin(), options.program);
  std::vector<std::string> environment = options.environment;
  auto descriptors = sorted_by_target(options.descriptors);
  const FileDescriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null.is_open()) return system_fault("cannot open /dev/null", errno);
  auto output = open_output_pipe();
  if (!output) return tl::unexpected(output.error());
  auto error = open_output_pipe();
  if (!error) return tl::unexpected(error.error());
  auto failures = open_pipe();
  if (!failures) return tl::unexpected(failures.error());

  const auto argv = pointers(arguments);
  const auto envp = pointers(environment);
  const auto limits = resource_limits(options.limits);
  std::vector<sock_filter> filter;
  if (options.filters_system_calls) filter = deny_filter();
  const pid_t pid =
      fork_to_exec({.argv = argv.data(),
                    .envp = envp.data(),
                    .parent = ::getpid(),
                    .standard = {null.get(), output->writable.get(), error->writable.get()},
                    .descriptors = descriptors,
                    .failure_pipe = failures->writable.get(),
                    .cgroups = options.cgroups,
                    .limits = limits,
                    .filter = filter});
  if (pid < 0) return system_fault("cannot fork for " + options.program, errno);
  ::setpgid(pid, pid);  // the child does the same: whoever comes first
  FileDescriptor pidfd = open_pidfd(pid);
  const int pidfd_error = errno;
  if (!pidfd.is_open()) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return system_fault("cannot watch " + options.program, pidfd_error);
  }
  // From here on its destructor ends and reaps the child.
  std::unique_ptr<ChildProcess> child(new ChildProcess(pid, Parent::kThis, std::move(pidfd),
                                                       std::move(output->readable),
                                                       std::move(error->readable)));
  failures->writable.close();
  if (const auto failure = read_failure(failures->readable.get())) {
    return system_fault(describe(failure->step, options.program), failure->error_number);
  }
  return child;
}

namespace {

std::optional<ExitStatus> wait_for(int pidfd, int options) noexcept {
  siginfo_t info{};
  int result = 0;
  do {
    result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, options);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return ExitStatus{.signalled = false, .code = ExitStatus::kUnknown};  // ECHILD
  if (info.si_pid == 0) return std::nullopt;
  return ExitStatus{.signalled = info.si_code != CLD_EXITED, .code = info.si_status};
}

}  // namespace

std::optional<ExitStatus> peek_exit_status(int pidfd) noexcept {
  const auto status = wait_for(pidfd, WEXITED | WNOHANG | WNOWAIT);
  return status && status->code == ExitStatus::kUnknown ? std::nullopt : status;
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::adopt(FileDescriptor pidfd,
                                                          FileDescriptor standard_output,
                                                          FileDescriptor standard_error) {
  const auto pid = pid_of(pidfd.get());
  if (!pid) return tl::unexpected(Fault{FaultKind::kViolation, "what came is no process's pidfd"});
  return std::unique_ptr<ChildProcess>(new ChildProcess(*pid, Parent::kOther, std::move(pidfd),
                                                        std::move(standard_output),
                                                        std::move(standard_error)));
}

ChildProcess::ChildProcess(pid_t pid, Parent parent, FileDescriptor pidfd,
                           FileDescriptor standard_output, FileDescriptor standard_error) noexcept
    : pid_(pid),
      pidfd_(std::move(pidfd)),
      standard_output_(std::move(standard_output)),
      standard_error_(std::move(standard_error)),
      parent_(parent) {}

ChildProcess::~ChildProcess() {
  const std::lock_guard lock(mutex_);
  if (status_) return;
  kill_group_locked(SIGKILL);
  if (parent_ != Parent::kThis) {
    pollfd end{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
    while (::poll(&end, 1, -1) < 0) continue;  // EINTR
  }
  static_cast<void>(wait_for(pidfd_.get(), parent_ == Parent::kThis ? WEXITED : WEXITED | WNOHANG));
}

void ChildProcess::kill(int signal) noexcept {
  const std::lock_guard lock(mutex_);
  if (!status_) send_signal(pidfd_.get(), signal);
}

void ChildProcess::kill_group(int signal) noexcept {
  const std::lock_guard lock(mutex_);
  if (!status_) kill_group_locked(signal);
}

std::optional<ExitStatus> ChildProcess::try_reap() {
  const std::lock_guard lock(mutex_);
  if (status_) return status_;
  if (parent_ == Parent::kOther) {
    if (told_ && has_ended(pidfd_.get())) status_ = told_;
    return status_;
  }
  const auto ended = wait_for(pidfd_.get(), WEXITED | WNOHANG | WNOWAIT);
  if (!ended) return std::nullopt;
  if (ended->code != ExitStatus::kUnknown) {  // it is ours, perhaps by inheritance
    ::kill(-pid_, SIGKILL);
    static_cast<void>(wait_for(pidfd_.get(), WEXITED));
    status_ = ended;
  } else if (parent_ == Parent::kThis) {
    status_ = ended;
  } else if (has_ended(pidfd_.get())) {
    if (pid_ > 0) ::kill(-pid_, SIGKILL);  // nobody has its number again so soon
    status_ = told_.value_or(ExitStatus{.signalled = false, .code = ExitStatus::kUntold});
  }
  return status_;
}

void ChildProcess::tell_end(const ExitStatus& status) {
  const std::lock_guard lock(mutex_);
  if (parent_ == Parent::kOther && !told_) told_ = status;
}

void ChildProcess::tell_parent_ended() {
  const std::lock_guard lock(mutex_);
  if (parent_ == Parent::kOther) parent_ = Parent::kNobody;
}

bool ChildProcess::awaits_word() {
  const std::lock_guard lock(mutex_);
  return parent_ == Parent::kOther && !told_;
}

// The leader too, in case it has moved to another group. Of another's child that has ended the
// number may have been given back, and the rest of its group is that one's to end.
void ChildProcess::kill_group_locked(int signal) const noexcept {
  if (parent_ != Parent::kThis && has_ended(pidfd_.get())) return;
  ::kill(-pid_, signal);
  if (::getpgid(pid_) != pid_) send_signal(pidfd_.get(), signal);
}

}  // namespace dspool::ipc
