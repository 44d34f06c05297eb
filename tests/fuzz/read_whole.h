// Reads all of a value that can be reached, in every way there is to reach it.
#pragma once

#include <cstddef>

#include "dspool/value.h"

namespace dspool::fuzz {

// How much was read: each element, and each byte of its text. Ends the process where two ways of
// reading disagree.
std::size_t read_whole(const ValueView& value);

}  // namespace dspool::fuzz
