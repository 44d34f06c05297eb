#include "dspool/session.h"

namespace dspool {

std::string_view to_string(Durability durability) noexcept {
  switch (durability) {
    case Durability::kMemory:
      return "memory";
    case Durability::kLocal:
      return "local";
    case Durability::kReplicated:
      return "replicated";
  }
  return "unknown";
}

std::string_view to_string(SessionEnd end) noexcept {
  switch (end) {
    case SessionEnd::kAsked:
      return "asked";
    case SessionEnd::kExpired:
      return "expired";
    case SessionEnd::kTemporary:
      return "temporary";
    case SessionEnd::kStopped:
      return "stopped";
  }
  return "unknown";
}

}  // namespace dspool
