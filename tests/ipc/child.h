// What tests do with child processes.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "ipc/child_process.h"
#include "ipc/pidfd.h"
#include "tests/ipc/channel_pair.h"

namespace dspool::ipc {

inline std::unique_ptr<ChildProcess> spawn(const ChildOptions& options) {
  auto child = ChildProcess::spawn(options);
  if (!child) throw std::runtime_error(child.error().what);
  return std::move(*child);
}

inline ExitStatus wait_for_end(ChildProcess& child) {
  EXPECT_TRUE(readable(child.pidfd())) << "it runs for ever";
  return child.try_reap().value();
}

// Reads up to the end, or up to the first line's end.
inline std::string read_text(int descriptor, bool one_line = false) {
  std::string text;
  char character = 0;
  while (!(one_line && text.ends_with('\n')) && readable(descriptor) &&
         ::read(descriptor, &character, 1) == 1) {
    text += character;
  }
  return text;
}

// Watches a process that is not our child.
inline FileDescriptor watch(const std::string& pid) { return open_pidfd(std::stoi(pid)); }

// The path of a program that is built beside the tests.
inline std::string beside_this_program(const char* name) {
  return std::filesystem::read_symlink("/proc/self/exe").replace_filename(name).string();
}

inline std::string echo_peer_path() { return beside_this_program("echo_peer"); }

}  // namespace dspool::ipc
