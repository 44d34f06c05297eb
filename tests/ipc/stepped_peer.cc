#include "tests/ipc/stepped_peer.h"

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "ipc/pidfd.h"

namespace dspool::ipc {
namespace {

void echo_one(WorkerChannel& channel) {
  if (!channel.wait()) ::_exit(EXIT_FAILURE);
  const auto record = channel.try_receive();
  const auto place = channel.try_reserve(record->header.length);
  std::memcpy(place->data(), record->body.data(), record->body.size());
  channel.commit(record->header.type, record->header.request_id);
  channel.release();
  channel.publish();
}

[[noreturn]] void run(const WorkerChannel::Descriptors& descriptors, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(EXIT_FAILURE);
  const auto attached = WorkerChannel::attach(descriptors);
  if (!attached) ::_exit(EXIT_FAILURE);
  WorkerChannel& channel = **attached;
  channel.set_spin_limit(std::chrono::nanoseconds{0});
  echo_one(channel);
  echo_one(channel);
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(EXIT_FAILURE);
  ::raise(SIGSTOP);
  echo_one(channel);
  ::_exit(channel.wait() ? EXIT_SUCCESS : EXIT_FAILURE);
}

// The process's next stop, or its end.
int wait_for_stop(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

void wait_until_asleep(EngineChannel& engine, int pidfd) {
  while (!engine.publish() && !readable(pidfd, 0)) std::this_thread::yield();
}

}  // namespace

SteppedPeer::SteppedPeer(EngineChannel& engine) {
  const pid_t parent = ::getpid();
  // The child uses the engine's own descriptors, as it would the inherited ones.
  const auto ends = engine.child_descriptors();
  pid_ = ::fork();
  if (pid_ == 0) {
    run({.segment_a = ends[0].first,
         .segment_b = ends[1].first,
         .control = ends[2].first,
         .caller_bell = ends[3].first,
         .reactor_bell = ends[4].first,
         .lifeline = ends[5].first,
         .slab = -1},
        parent);
  }
  pidfd_ = open_pidfd(pid_);
  exchange(engine, 1, pidfd());
  wait_until_asleep(engine, pidfd());
  engine.ring_worker();  // in vain
  wait_until_asleep(engine, pidfd());
  exchange(engine, 2, pidfd());
  running_ = WIFSTOPPED(wait_for_stop(pid_));
  EXPECT_TRUE(running_);
  engine.close_child_ends();
}

SteppedPeer::~SteppedPeer() { kill(); }

const char* SteppedPeer::refused() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return "a sanitizer's own instructions would be stepped through, ten for each of ours";
#else
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::_exit(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  const bool permitted = wait_for_stop(pid) == 0;
  return permitted ? nullptr : "this system does not permit ptrace";
#endif
}

bool SteppedPeer::step() {
  if (!running_) return false;
  EXPECT_EQ(::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr), 0);
  const int status = wait_for_stop(pid_);
  running_ = WIFSTOPPED(status);
  EXPECT_TRUE(running_ ? WSTOPSIG(status) == SIGTRAP : status == EXIT_SUCCESS);
  return running_;
}

void SteppedPeer::kill() {
  if (!running_) return;
  running_ = false;
  ::kill(pid_, SIGKILL);
  while (WIFSTOPPED(wait_for_stop(pid_))) continue;
}

}  // namespace dspool::ipc
