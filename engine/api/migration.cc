#include "dspool/migration.h"

namespace dspool {

std::string_view to_string(MigrationReason reason) noexcept {
  switch (reason) {
    case MigrationReason::kAsked:
      return "asked";
    case MigrationReason::kDrain:
      return "drain";
    case MigrationReason::kEvacuate:
      return "evacuate";
    case MigrationReason::kRecycle:
      return "recycle";
    case MigrationReason::kResize:
      return "resize";
    case MigrationReason::kRebalance:
      return "rebalance";
  }
  return "unknown";
}

}  // namespace dspool
