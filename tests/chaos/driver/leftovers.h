// What a pool could leave behind when it has stopped: processes, descriptors, mappings, names.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "tests/support/held_resources.h"

namespace dspool::chaos {

// Makes this process the parent of all orphans below it, so that none can get away.
void adopt_orphans();

// The processes below this one that live, by number, with their names.
[[nodiscard]] std::map<pid_t, std::string> living_by_number();
// The same, as "sleep (1234)".
[[nodiscard]] std::vector<std::string> living_descendants();

struct Leftovers {
  std::vector<std::string> processes;
  test::HeldResources held;
};

// What is left once nothing is, or after `patience`. Ends the processes that it found.
[[nodiscard]] Leftovers look_for_leftovers(std::chrono::milliseconds patience,
                                           const test::HeldResources& before);

}  // namespace dspool::chaos
