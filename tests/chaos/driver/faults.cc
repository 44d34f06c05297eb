#include <algorithm>
#include <thread>

#include "tests/chaos/driver/clock.h"
#include "tests/chaos/driver/fault.h"
#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {

std::span<const FaultKind> fault_kinds() {
  static constexpr FaultKind kKinds[] = {
      {"none", "nothing goes wrong", make_none},
      {"kill_idle", "SIGKILL of a worker that has nothing to do", make_kill_idle},
      {"kill_mid_call", "SIGKILL of a worker that runs a command", make_kill_mid_call},
      {"stop_and_wake", "SIGSTOP for longer than calls wait, then SIGCONT", make_stop_and_wake},
      {"exit", "a command calls os._exit", make_exit},
      {"segfault", "a command reads address 8 within an extension", make_segfault},
      {"hold_gil", "a command waits in an extension with the GIL", make_hold_gil},
      {"leave_early", "callers cancel, or have no time", make_leave_early},
      {"churn", "resize, drain, evacuate, migrate, rebalance", make_churn},
      {"interrupted_move", "SIGKILL of a worker to or from which sessions are moved",
       make_interrupted_move},
      {"grandchildren", "commands start processes, and their worker is killed", make_grandchildren},
      {"expiry", "sessions are used at the brink of their expiry", make_expiry},
      {"overload", "more calls than the queues take", make_overload},
      {"hot_session", "1,000 callers of one session at once", make_hot_session},
      {"memory_hog", "commands ask for more memory than a worker may have", make_memory_hog},
      {"leak_descriptors", "commands open files until a worker may open no more",
       make_leak_descriptors},
      {"secrets", "a key is set, and looked for where it must not be", make_secrets},
      {"full_ring", "long arguments for a worker that is stopped", make_full_ring},
      {"import_error", "new workers cannot import their adapter, until it is mended",
       make_import_error},
      {"file_limit", "no file may be written, by a limit of the process", make_file_limit},
      {"sigterm", "the driver is asked to stop under load", make_sigterm},
  };
  return kKinds;
}

const FaultKind* find_fault(std::string_view name) {
  const auto kinds = fault_kinds();
  const auto found = std::ranges::find(kinds, name, &FaultKind::name);
  return found == kinds.end() ? nullptr : &*found;
}

bool Scene::pause(std::chrono::milliseconds duration) const {
  constexpr std::chrono::milliseconds kSlice{20};
  const auto until = Clock::now() + duration;
  while (!over && Clock::now() < until) {
    std::this_thread::sleep_for(std::min<Clock::duration>(kSlice, until - Clock::now()));
  }
  return !over;
}

void Scene::tell(std::string_view fault, std::string_view what) const {
  JsonObject line;
  line.number("time_ns", now_ns()).text("fault", fault).text("what", what);
  strikes.write(std::move(line).take());
}

}  // namespace dspool::chaos
