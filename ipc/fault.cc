#include "ipc/fault.h"

#include <system_error>
#include <utility>

namespace dspool::ipc {

tl::unexpected<Fault> system_fault(std::string what, int error_number) {
  what += ": " + std::generic_category().message(error_number) + " (errno " +
          std::to_string(error_number) + ")";
  return tl::unexpected(Fault{FaultKind::kSystem, std::move(what)});
}

}  // namespace dspool::ipc
