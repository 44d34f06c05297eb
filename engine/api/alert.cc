#include "dspool/alert.h"

namespace dspool {

std::string_view to_string(AlertKind kind) noexcept {
  switch (kind) {
    case AlertKind::kErrorRate:
      return "error_rate";
    case AlertKind::kRestartsExhausted:
      return "restarts_exhausted";
  }
  return "unknown";
}

}  // namespace dspool
