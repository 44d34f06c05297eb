#include "engine/store/line_value.h"

#include <cmath>
#include <vector>

#include "engine/api/json_writer.h"
#include "engine/api/utf8.h"
#include "engine/api/value_verifier.h"
#include "engine/store/base64.h"

namespace dspool::store {
namespace {

constexpr std::string_view kFlexBuffer = "$flexbuffer";
// A line nests a value in a few maps and lists of its own, and is read within the same bound.
constexpr std::size_t kMostDepth = 48;

bool is_plain(const ValueView& value, std::size_t depth) {
  switch (value.kind()) {
    case Kind::kNull:
    case Kind::kBool:
    case Kind::kInt:
      return true;
    case Kind::kDouble:
      return std::isfinite(value.as_double());
    case Kind::kString:
      return is_text(value.as_string());
    case Kind::kBytes:
      return false;
    case Kind::kList:
    case Kind::kMap:
      break;
  }
  if (depth == kMostDepth) return false;
  const bool map = value.kind() == Kind::kMap;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (map && (!is_text(value.key(i)) || value.key(i) == kFlexBuffer)) return false;
    if (!is_plain(value[i], depth + 1)) return false;
  }
  return true;
}

}  // namespace

bool is_text(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

void append_line_value(std::string& line, const Value& value) {
  if (is_plain(value, 0)) {
    append_json(line, value);
    return;
  }
  const auto bytes = value.bytes();
  line.append("{\"").append(kFlexBuffer).append("\":\"");
  line.append(to_base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  line.append("\"}");
}

std::optional<Value> value_in_line(const ValueView& value) {
  if (value.kind() != Kind::kMap || !value.contains(kFlexBuffer)) {
    Value made = Value::of(value);  // with its keys shared, which may be too often
    return verify_value(made.bytes()) ? std::optional(std::move(made)) : std::nullopt;
  }
  const auto bytes = from_base64(value[kFlexBuffer].as_string());
  if (value.size() != 1 || !bytes) return std::nullopt;
  auto decoded = Value::from_bytes({bytes->begin(), bytes->end()});
  if (!decoded) return std::nullopt;
  return std::move(*decoded);
}

}  // namespace dspool::store
