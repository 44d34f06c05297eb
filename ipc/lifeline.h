// Ends this process when the other end of a socket hangs up: a thread that does nothing but wait
// for that. It ends the process's whole group if the process leads it, and only the process
// otherwise. It works while every other thread hangs, and does not depend on who the parent is.
//
// It also tells the other end of this process's death, at once. A killed process's descriptors are
// closed when the last thread that shares them ends, and its last thread first takes the process's
// memory apart, which takes milliseconds. So the thread has a descriptor table of its own, with
// this socket, and the others one without it: whichever thread comes last, one of the two tables
// is closed before.
#pragma once

#include <memory>
#include <thread>

#include "ipc/fault.h"
#include "ipc/file_descriptor.h"

namespace dspool::ipc {

class Lifeline {
 public:
  // Takes the socket out of the calling thread's descriptors, unless the system refuses tables of
  // their own (an old seccomp filter): then a death is told late. Incoming messages are left alone.
  static Result<std::unique_ptr<Lifeline>> start(FileDescriptor socket);
  Lifeline(const Lifeline&) = delete;
  Lifeline& operator=(const Lifeline&) = delete;
  // Stops the thread, and joins it. What hung up before still ends the process.
  ~Lifeline();

  // What the thread does, for a thread that has seen the hang-up before it: were that one to leave
  // by itself, it would leave the rest of its group behind.
  static void end_process() noexcept;

 private:
  Lifeline(FileDescriptor socket, FileDescriptor stop_bell) noexcept
      : socket_(std::move(socket)), stop_bell_(std::move(stop_bell)) {}

  FileDescriptor socket_;     // open here only where the thread has no table of its own
  FileDescriptor stop_bell_;  // eventfd
  std::thread thread_;
};

}  // namespace dspool::ipc
