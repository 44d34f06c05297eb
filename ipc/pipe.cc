#include "ipc/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace dspool::ipc {

Result<Pipe> open_pipe() {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_fault("cannot create a pipe", errno);
  return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

Result<Pipe> open_output_pipe() {
  auto pipe = open_pipe();
  if (pipe && ::fcntl(pipe->readable.get(), F_SETFL, O_NONBLOCK) != 0) {
    return system_fault("cannot set up a pipe", errno);
  }
  return pipe;
}

}  // namespace dspool::ipc
