// A bug in the ring, or in the doorbell's or the recall's protocol, planted by what it stands on.
#pragma once

#include <string_view>

#include "tests/model/atomic.h"

namespace dspool::model {

struct PlantedBug {
  std::string_view name;
  Sabotage tail = {};
  Sabotage head = {};
  Sabotage sleeping = {};
  Sabotage doorbell = {};
  Sabotage receiver = {};
  Sabotage claimed = {};
  Sabotage recalled = {};
  bool looks_again = true;  // between announcing sleep and sleeping
};

// The one that the environment variable DSPOOL_PLANTED names, otherwise "none".
const PlantedBug& planted_bug();

}  // namespace dspool::model
