// Ends this process when the other end of a socket hangs up: a thread that does nothing but wait
// for that. It ends the process's whole group if the process leads it, and only the process
// otherwise. It works while every other thread hangs, and does not depend on who the parent is.
//
// The kernel hangs up for a killed process too, when the last copy of its descriptor is closed.
#pragma once

#include <memory>
#include <thread>

#include "ipc/fault.h"
#include "ipc/file_descriptor.h"

namespace dspool::ipc {

class Lifeline {
 public:
  // REQUIRES: `socket` stays open while *this lives. Incoming messages are left alone.
  static Result<std::unique_ptr<Lifeline>> start(int socket);
  Lifeline(const Lifeline&) = delete;
  Lifeline& operator=(const Lifeline&) = delete;
  // Stops the thread, and joins it. What hung up before still ends the process.
  ~Lifeline();

  // What the thread does, for a thread that has seen the hang-up before it: were that one to leave
  // by itself, it would leave the rest of its group behind.
  static void end_process() noexcept;

 private:
  explicit Lifeline(FileDescriptor stop_bell) noexcept : stop_bell_(std::move(stop_bell)) {}

  FileDescriptor stop_bell_;  // eventfd
  std::thread thread_;
};

}  // namespace dspool::ipc
