#include "engine/load/invalid_options.h"

#include <utility>

namespace dspool::load {

tl::unexpected<Error> invalid_options(std::string message) {
  return tl::unexpected(Error{.category = ErrorCategory::kInitialization,
                              .code = "invalid_options",
                              .message = std::move(message)});
}

}  // namespace dspool::load
