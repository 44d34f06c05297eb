#include "engine/worker/start_error.h"

#include <fmt/format.h>

#include <utility>

namespace dspool::worker {
namespace {

std::string last_words(const std::string& words) {
  return words.empty() ? "; it printed nothing" : "; its last words: " + words;
}

// As the interpreter says it of a package, and of a module in one.
bool lacks_package(const std::string& words) {
  return words.find("No module named dspool_worker") != std::string::npos ||
         words.find("No module named 'dspool_worker'") != std::string::npos;
}

// What a worker prints whose shared memory is laid out in another way (ipc/worker_channel.cc).
bool has_another_layout(const std::string& words) {
  return words.find("the engine has layout version ") != std::string::npos;
}

constexpr std::string_view kInstallTheSame =
    "install the dspool_worker of this engine's version for worker.python, or name its folder "
    "first in worker.python_path";

}  // namespace

Error start_error(const ipc::Fault& fault) {
  const bool no_memory = fault.kind == ipc::FaultKind::kNoMemory;
  return {.category = ErrorCategory::kInitialization,
          .code = no_memory ? "channel_no_memory" : "spawn_failed",
          .message = no_memory ? fmt::format("no memory for a worker's channel: {}; lower "
                                             "worker.slab_bytes, worker.ring_bytes or pool_size",
                                             fault.what)
                               : fmt::format("a worker could not be started: {}; check "
                                             "worker.python and the limits of this process",
                                             fault.what)};
}

Error no_cgroup(std::string_view why) {
  return {.category = ErrorCategory::kInitialization,
          .code = "no_cgroup",
          .message = fmt::format("worker.cgroups = required, and workers cannot have cgroups with "
                                 "what the configuration limits ({}): have one delegated to this "
                                 "process (systemd: Delegate=memory pids, with DelegateSubgroup=), "
                                 "or set worker.cgroups = \"auto\"",
                                 why)};
}

Error died_before_ready(std::string_view who, const std::string& how, const std::string& words) {
  std::string message =
      fmt::format("{} ended before it was ready ({}){}", who, how, last_words(words));
  if (has_another_layout(words)) {
    return {.category = ErrorCategory::kInitialization,
            .code = "version_mismatch",
            .message = fmt::format("{}; {}", message, kInstallTheSame),
            .worker = std::string(who)};
  }
  message += lacks_package(words)
                 ? "; install the package for this interpreter, or name its folder in "
                   "worker.python_path"
                 : "; check worker.python and worker.adapter";
  return {.category = ErrorCategory::kInitialization,
          .code = "worker_died",
          .message = std::move(message),
          .worker = std::string(who)};
}

Error died_when_it_forked(const std::string& how, const std::string& words) {
  return {.category = ErrorCategory::kInitialization,
          .code = "worker_died",
          .message = fmt::format("the fork server ended when it was to fork its first worker "
                                 "({}){}; set worker.start_method = \"spawn\"",
                                 how, last_words(words))};
}

Error died_before_it_served(std::string_view who, const std::string& how,
                            const std::string& words) {
  return {.category = ErrorCategory::kInitialization,
          .code = "worker_died",
          .message = fmt::format("{} was ready, and ended ({}) before it had completed a request{}",
                                 who, how, last_words(words)),
          .worker = std::string(who)};
}

Error restarts_exhausted(std::uint32_t deaths, std::chrono::milliseconds window,
                         const Error& last) {
  return {
      .category = ErrorCategory::kInitialization,
      .code = "restarts_exhausted",
      .message = fmt::format("workers have ended {} times within {} ms before they had completed a "
                             "request, so that one is tried each {} ms only: {}. Mend that; "
                             "resize has it tried at once",
                             deaths, window.count(), window.count(), last.message),
      .retryable = true,
      .retry_after = window,
      .worker = last.worker,
      .exception_type = last.exception_type,
      .traceback = last.traceback,
      .provider = last.provider,
      .cause = last.cause.empty() ? last.message : last.cause};
}

Error version_mismatch(std::string_view who, std::string_view python, wire::Protocol theirs) {
  return {
      .category = ErrorCategory::kInitialization,
      .code = "version_mismatch",
      .message = fmt::format("{}, which is Python {}, speaks protocol {} and this engine "
                             "protocol {}: {}",
                             who, python, static_cast<std::uint32_t>(theirs),
                             static_cast<std::uint32_t>(wire::Protocol::current), kInstallTheSame),
      .worker = std::string(who)};
}

Error not_ready_in_time(std::string_view who, std::chrono::milliseconds patience) {
  return {.category = ErrorCategory::kInitialization,
          .code = "start_timeout",
          .message = fmt::format("{} was not ready within {} ms and was killed: raise "
                                 "worker.start_timeout",
                                 who, patience.count())};
}

}  // namespace dspool::worker
