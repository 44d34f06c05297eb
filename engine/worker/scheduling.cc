#include "engine/worker/scheduling.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace dspool::worker {
namespace {

// sched_attr of sched_setattr(2), whose header cannot be included together with the C library's.
struct Attributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime_ns;  // of a slice
  std::uint64_t deadline_ns;
  std::uint64_t period_ns;
};
static_assert(sizeof(Attributes) == 48);

constexpr std::uint64_t kShortestSliceNs = 100'000;
constexpr std::uint64_t kResetOnFork = 1;  // SCHED_FLAG_RESET_ON_FORK

bool set_policy(int policy) noexcept {
  const sched_param no_priority{};
  return ::sched_setscheduler(0, policy, &no_priority) == 0;
}

}  // namespace

void run_soon_and_briefly() noexcept {
  Attributes attributes{};
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0U) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.runtime_ns = kShortestSliceNs;
  attributes.flags |= kResetOnFork;  // a completion may start threads and processes
  ::syscall(SYS_sched_setattr, 0, &attributes, 0U);
}

WakesBehindOthers::WakesBehindOthers() noexcept
    : changed_(::sched_getscheduler(0) == SCHED_OTHER && set_policy(SCHED_BATCH)) {}

WakesBehindOthers::~WakesBehindOthers() {
  if (changed_) set_policy(SCHED_OTHER);
}

}  // namespace dspool::worker
