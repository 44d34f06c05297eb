#include "ipc/exec_child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>

namespace dspool::ipc {
namespace {

[[noreturn]] void fail(int failure_pipe, ExecStep step) noexcept {
  const ExecFailure failure{step, errno};
  [[maybe_unused]] const ssize_t written = ::write(failure_pipe, &failure, sizeof failure);
  ::_exit(127);
}

// Marks [first, last] to be closed at exec; it may be empty.
bool close_at_exec(int first, int last) noexcept {
  return first > last || ::close_range(static_cast<unsigned>(first), static_cast<unsigned>(last),
                                       CLOSE_RANGE_CLOEXEC) == 0;
}

// Moves `descriptor` to a number of at least `lowest`, where no target can overwrite it.
bool move_up(int& descriptor, int lowest) noexcept {
  const int moved = ::fcntl(descriptor, F_DUPFD_CLOEXEC, lowest);
  if (moved >= 0) descriptor = moved;
  return moved >= 0;
}

bool arrange_descriptors(const ExecPlan& plan, std::array<int, 3>& standard,
                         int& failure_pipe) noexcept {
  const int above = plan.descriptors.empty() ? 3 : plan.descriptors.back().second + 1;
  if (!move_up(failure_pipe, above)) return false;
  for (int& here : standard) {
    if (!move_up(here, above)) return false;
  }
  for (auto& [here, there] : plan.descriptors) {
    if (!move_up(here, above)) return false;
  }
  int next = 0;  // the lowest number that nothing was decided about
  for (const int here : standard) {
    if (::dup2(here, next++) < 0) return false;
  }
  for (const auto& [here, there] : plan.descriptors) {
    if (::dup2(here, there) < 0 || !close_at_exec(next, there - 1)) return false;
    next = there + 1;
  }
  return close_at_exec(next, INT_MAX);
}

// Handlers end with exec by themselves; ignored signals and the mask would be inherited.
bool reset_signals() noexcept {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) {
    ::sigaction(signal, &action, nullptr);  // refused for SIGKILL, SIGSTOP and the C library's
  }
  sigset_t none;
  ::sigemptyset(&none);
  return ::sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

bool enter_cgroups(std::span<const int> cgroups) noexcept {
  for (const int procs : cgroups) {
    if (::write(procs, "0", 1) != 1) return false;
  }
  return true;
}

// From here on nothing may be needed but the one call that follows.
bool accept_limits(const ExecPlan& plan) noexcept {
  for (const auto& [resource, limit] : plan.limits) {
    if (::setrlimit(resource, &limit) != 0) return false;
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  if (plan.filter.empty()) return true;
  const sock_fprog program{.len = static_cast<unsigned short>(plan.filter.size()),
                           .filter = plan.filter.data()};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

void exec_child(const ExecPlan& plan) noexcept {
  std::array<int, 3> standard = plan.standard;
  int failure_pipe = plan.failure_pipe;
  if (!enter_cgroups(plan.cgroups)) fail(failure_pipe, ExecStep::kCgroups);
  if (!arrange_descriptors(plan, standard, failure_pipe)) {
    fail(failure_pipe, ExecStep::kDescriptors);
  }
  if (::setpgid(0, 0) != 0 || ::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    fail(failure_pipe, ExecStep::kProcess);
  }
  if (::getppid() != plan.parent) ::_exit(127);  // it died before PDEATHSIG was set
  if (!reset_signals()) fail(failure_pipe, ExecStep::kSignals);
  if (!accept_limits(plan)) fail(failure_pipe, ExecStep::kLimits);
  ::execve(plan.argv[0], plan.argv, plan.envp);
  fail(failure_pipe, ExecStep::kExec);
}

}  // namespace dspool::ipc
