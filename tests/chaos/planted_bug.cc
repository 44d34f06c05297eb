// Bugs that are there: DSPOOL_PLANTED=lose_append gives the process that one.
#include "ipc/planted_bug.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace dspool::ipc {
namespace {

std::string_view read_choice() {
  const char* given = std::getenv("DSPOOL_PLANTED");
  if (given == nullptr || *given == '\0') return {};
  if (PlantedBug::is_known(given)) return given;
  std::fprintf(stderr, "DSPOOL_PLANTED=%s is no bug of ipc/planted_bug.h\n", given);
  std::_Exit(2);
}

}  // namespace

bool has_bug(PlantedBug bug) noexcept {
  static const std::string_view kChoice = read_choice();
  return bug.name() == kChoice;
}

bool has_bug_at_times(PlantedBug bug, unsigned n) noexcept {
  static std::atomic<unsigned> asked{0};
  return has_bug(bug) && ++asked % n == 0;
}

bool has_bug_once(PlantedBug bug, unsigned n) noexcept {
  static std::atomic<unsigned> asked{0};
  return has_bug(bug) && ++asked == n;
}

}  // namespace dspool::ipc
