#include "tests/model/planted_bug.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>

namespace dspool::model {
namespace {

using enum std::memory_order;

constexpr std::array kBugs = {
    PlantedBug{.name = "none"},
    PlantedBug{.name = "tail_stored_relaxed", .tail = {.store = relaxed}},
    PlantedBug{.name = "tail_stored_release", .tail = {.store = release}},
    PlantedBug{.name = "tail_loaded_relaxed", .tail = {.load = relaxed}},
    PlantedBug{.name = "tail_loaded_acquire", .tail = {.load = acquire}},
    PlantedBug{.name = "tail_trusted_twice", .tail = {.loads_at_every_use = true}},
    PlantedBug{.name = "head_stored_relaxed", .head = {.store = relaxed}},
    PlantedBug{.name = "head_loaded_relaxed", .head = {.load = relaxed}},
    PlantedBug{.name = "head_trusted_twice", .head = {.loads_at_every_use = true}},
    PlantedBug{.name = "no_second_look", .looks_again = false},
    PlantedBug{.name = "sleep_announced_acq_rel", .sleeping = {.modify = acq_rel}},
    PlantedBug{.name = "sleep_loaded_acquire", .sleeping = {.load = acquire}},
    PlantedBug{.name = "doorbell_not_compared", .doorbell = {.sleeps_on_what_there_is = true}},
    PlantedBug{.name = "doorbell_not_bumped", .doorbell = {.never_changes = true}},
    PlantedBug{.name = "receiver_announced_acq_rel", .receiver = {.modify = acq_rel}},
    PlantedBug{.name = "receiver_loaded_acquire", .receiver = {.load = acquire}},
    PlantedBug{.name = "claim_stored_release", .claimed = {.store = release}},
    PlantedBug{.name = "claim_loaded_acquire", .claimed = {.load = acquire}},
    PlantedBug{.name = "claim_trusted_twice", .claimed = {.loads_at_every_use = true}},
    PlantedBug{.name = "recall_stored_release", .recalled = {.store = release}},
    PlantedBug{.name = "recall_loaded_acquire", .recalled = {.load = acquire}},
};

const PlantedBug& choose() {
  const char* name = std::getenv("DSPOOL_PLANTED");
  const auto bug = std::ranges::find(kBugs, std::string_view(name != nullptr ? name : "none"),
                                     &PlantedBug::name);
  if (bug != kBugs.end()) return *bug;
  std::cerr << "DSPOOL_PLANTED is one of:";
  for (const PlantedBug& known : kBugs) std::cerr << ' ' << known.name;
  std::cerr << '\n';
  std::exit(2);
}

}  // namespace

const PlantedBug& planted_bug() {
  static const PlantedBug& bug = choose();
  return bug;
}

}  // namespace dspool::model
