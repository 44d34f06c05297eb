#include "dspool/stats.h"

namespace dspool {

std::string_view to_string(HealthStatus status) noexcept {
  switch (status) {
    case HealthStatus::kHealthy:
      return "healthy";
    case HealthStatus::kDegraded:
      return "degraded";
    case HealthStatus::kUnhealthy:
      return "unhealthy";
  }
  return "unknown";
}

std::string_view to_string(WorkerStatus status) noexcept {
  switch (status) {
    case WorkerStatus::kStarting:
      return "starting";
    case WorkerStatus::kIdle:
      return "idle";
    case WorkerStatus::kBusy:
      return "busy";
    case WorkerStatus::kSilent:
      return "silent";
    case WorkerStatus::kDraining:
      return "draining";
    case WorkerStatus::kDead:
      return "dead";
  }
  return "unknown";
}

}  // namespace dspool
