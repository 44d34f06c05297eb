#include "ipc/child_limits.h"

#include <algorithm>
#include <cerrno>
#include <string>

namespace dspool::ipc {
namespace {

ResourceLimit at_most(int resource, rlim_t most) {
  rlimit ours{};
  ::getrlimit(resource, &ours);
  const rlim_t limit = std::min(most, ours.rlim_max);
  return {.resource = resource, .limit = {.rlim_cur = limit, .rlim_max = limit}};
}

}  // namespace

std::vector<ResourceLimit> resource_limits(const ChildLimits& limits) {
  std::vector<ResourceLimit> resources{at_most(RLIMIT_CORE, 0)};
  if (limits.memory_bytes != 0) resources.push_back(at_most(RLIMIT_DATA, limits.memory_bytes));
  if (limits.open_files != 0) resources.push_back(at_most(RLIMIT_NOFILE, limits.open_files));
  return resources;
}

Result<void> limit_process(pid_t pid, const ChildLimits& limits) {
  for (const auto& [resource, limit] : resource_limits(limits)) {
    if (::prlimit(pid, static_cast<__rlimit_resource>(resource), &limit, nullptr) != 0) {
      return system_fault("cannot limit process " + std::to_string(pid), errno);
    }
  }
  return {};
}

}  // namespace dspool::ipc
