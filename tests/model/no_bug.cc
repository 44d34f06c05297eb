#include "tests/model/planted_bug.h"

namespace dspool::model {

const PlantedBug& planted_bug() {
  static constexpr PlantedBug kNone{.name = "none"};
  return kNone;
}

}  // namespace dspool::model
