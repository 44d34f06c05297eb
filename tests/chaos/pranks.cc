// Bad manners that the engine bears.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <limits>
#include <thread>

#include "tests/chaos/hostility.h"

namespace dspool::chaos {

std::span<const Hostility::Act> Hostility::pranks() {
  static constexpr Act kPranks[] = {
      {"ring like mad", &Hostility::ring_like_mad},
      {"change the bells", &Hostility::change_the_bells},
      {"pretend to sleep", &Hostility::pretend_to_sleep},
      {"doze", &Hostility::doze},
      {"babble on the control socket", &Hostility::babble_on_the_control_socket},
      {"hand out descriptors", &Hostility::hand_out_descriptors},
      {"print garbage", &Hostility::print_garbage},
  };
  return kPranks;
}

void Hostility::ring() {
  ::eventfd_write(RawChannel::kCallerBell, 1);
  ::eventfd_write(RawChannel::kReactorBell, 1);
}

void Hostility::ring_like_mad() {
  for (int time = 0; time < 20'000; ++time) ring();
}

// Fills and empties them, and lets them block whoever reads.
void Hostility::change_the_bells() {
  for (const int bell : {RawChannel::kCallerBell, RawChannel::kReactorBell}) {
    eventfd_t stolen = 0;
    for (int time = 0; time < 100; ++time) {
      ::eventfd_read(bell, &stolen);
      ::eventfd_write(bell, std::numeric_limits<eventfd_t>::max() - 1);
    }
    ::eventfd_read(bell, &stolen);
    ::fcntl(bell, F_SETFL, 0);
  }
}

void Hostility::pretend_to_sleep() {
  for (int time = 0; time < 2'000; ++time) {
    raw_.mine().worker_sleeping.value.store(static_cast<std::uint32_t>(random_()));
    std::this_thread::sleep_for(std::chrono::microseconds(1));
  }
}

// A child of its own wakes it.
void Hostility::doze() {
  const pid_t self = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ::kill(self, SIGCONT);
    ::_exit(0);
  }
  ::raise(SIGSTOP);
  ::waitpid(child, nullptr, 0);
}

// Empty, short and long messages until the socket takes no more; at times it hangs up, too.
void Hostility::babble_on_the_control_socket() {
  std::array<std::byte, 4096> message{};
  for (std::byte& byte : message) byte = static_cast<std::byte>(random_());
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  while (::send(RawChannel::kControl, message.data(), below(message.size()), kFlags) >= 0) continue;
}

// The control socket itself among them, and descriptors that are closed before they arrive.
void Hostility::hand_out_descriptors() {
  for (int time = 0; time < 50; ++time) {
    std::array<int, 2> pipe{-1, -1};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return;
    const std::array<int, 3> handed{pipe[0], RawChannel::kControl, RawChannel::kReactorBell};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof handed)> control{};
    char text = 'x';
    iovec part{.iov_base = &text, .iov_len = 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof handed);
    std::memcpy(CMSG_DATA(header), handed.data(), sizeof handed);
    ::sendmsg(RawChannel::kControl, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    for (const int end : pipe) ::close(end);
  }
}

void Hostility::print_garbage() {
  for (int line = 0; line < 200; ++line) {
    for (int word = 0; word < 20; ++word) {
      const std::uint64_t bytes = random_();
      std::fwrite(&bytes, sizeof bytes, 1, line % 2 == 0 ? stdout : stderr);
    }
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace dspool::chaos
