// An error that says what is wrong with what a person asked for.
#pragma once

#include <string>

#include "dspool/error.h"

namespace dspool::load {

// initialization / "invalid_options".
[[nodiscard]] tl::unexpected<Error> invalid_options(std::string message);

}  // namespace dspool::load
