// Values as compact JSON text, appended to a string.
#pragma once

#include <string>
#include <string_view>

#include "dspool/value.h"

namespace dspool {

void append_json(std::string& out, const ValueView& value);

// With its quotes. Control characters are escaped, what is not UTF-8 becomes U+FFFD: the result is
// JSON whatever `text` holds.
void append_json_string(std::string& out, std::string_view text);

}  // namespace dspool
