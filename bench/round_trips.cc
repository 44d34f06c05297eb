// Makes calls one at a time, for callgrind to count the engine's instructions:
//
//   round_trips COMMAND CALLS EVENTS
//
// calls `echo` (with five fields, in and out) or `increment` (which commits) CALLS times in one
// session, with an event history of EVENTS. Both sides sleep at once, so that nobody spins for
// longer on one run than on another.
#include <dlfcn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "dspool/engine.h"

// Valgrind 3.19 does not know pidfd_open. What stands for a worker's descriptor here is never
// readable, as if that lived for ever: this program ends before its worker does.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the other is a reserved one
extern "C" long syscall(long number, ...) noexcept {
  if (number == SYS_pidfd_open) return ::eventfd(0, EFD_CLOEXEC);
  using Syscall = long (*)(long, long, long, long, long, long, long);
  static const auto kReal = reinterpret_cast<Syscall>(::dlsym(RTLD_NEXT, "syscall"));
  std::va_list list;
  va_start(list, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  return kReal(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
               arguments[5]);
}

int main(int argument_count, char** arguments) {
  if (argument_count != 4) return 2;
  const std::string_view command = arguments[1];
  dspool::Config config;
  config.pool_size = 1;
  config.overflow = 0;
  config.log_level = dspool::LogLevel::kWarning;
  config.history_events = std::strtoull(arguments[3], nullptr, 10);
  config.worker.spin_us = 0;
  if (const char* python = std::getenv("DSPOOL_PYTHON")) config.worker.python = python;
  const auto engine = dspool::Engine::start(config);
  if (!engine) {
    std::fprintf(stderr, "%s\n", engine.error().describe().c_str());
    return 1;
  }
  const dspool::Value args = command == "increment"
                                 ? dspool::Value{{"by", 1}}
                                 : dspool::Value{{"id", 12345},
                                                 {"question", "What is shared memory good for?"},
                                                 {"temperature", 0.7},
                                                 {"stream", false},
                                                 {"model", "a-model"}};
  for (long left = std::strtol(arguments[2], nullptr, 10); left > 0; --left) {
    const auto answer = (*engine)->execute_in_session("session-000000", command, args);
    if (answer) continue;
    std::fprintf(stderr, "%s\n", answer.error().describe().c_str());
    return 1;
  }
  std::_Exit(0);
}
