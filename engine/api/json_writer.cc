#include "engine/api/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/api/utf8.h"

namespace dspool {
namespace {

void append_int(std::string& out, std::int64_t value) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

// The shortest text that reads back as the same double, and as a double, not an integer.
void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out.append("null");
    return;
  }
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
  out.append(text);
  if (text.find_first_of(".e") == std::string_view::npos) out.append(".0");
}

// RFC 4648, with padding.
void append_base64(std::string& out, std::span<const std::byte> bytes) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  out.push_back('"');
  while (!bytes.empty()) {
    const std::size_t taken = bytes.size() < 3 ? bytes.size() : 3;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8 | (i < taken ? std::to_integer<std::uint32_t>(bytes[i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      out.push_back(i <= taken ? kAlphabet[group >> (18 - 6 * i) & 63] : '=');
    }
    bytes = bytes.subspan(taken);
  }
  out.push_back('"');
}

void append_escaped(std::string& out, char control) {
  switch (control) {
    case '\b':
      out.append("\\b");
      return;
    case '\f':
      out.append("\\f");
      return;
    case '\n':
      out.append("\\n");
      return;
    case '\r':
      out.append("\\r");
      return;
    case '\t':
      out.append("\\t");
      return;
    default:
      out.append("\\u00");
      out.push_back(control < 0x10 ? '0' : '1');
      out.push_back("0123456789abcdef"[control & 15]);
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  std::size_t plain = 0;  // bytes at the beginning of `text` that are written as they are
  while (plain < text.size()) {
    const char next = text[plain];
    const bool escaped = next == '"' || next == '\\' || (next >= 0 && next < 0x20);
    const std::size_t length = utf8_length(text.substr(plain));
    if (!escaped && length > 0) {
      plain += length;
      continue;
    }
    out.append(text.substr(0, plain));
    if (length == 0) {
      out.append("\xEF\xBF\xBD");
    } else if (next == '"' || next == '\\') {
      out.append({'\\', next});
    } else {
      append_escaped(out, next);
    }
    text.remove_prefix(plain + 1);
    plain = 0;
  }
  out.append(text);
  out.push_back('"');
}

void append_json(std::string& out, const ValueView& value) {
  switch (value.kind()) {
    case Kind::kNull:
      out.append("null");
      return;
    case Kind::kBool:
      out.append(value.as_bool() ? "true" : "false");
      return;
    case Kind::kInt:
      append_int(out, value.as_int64());
      return;
    case Kind::kDouble:
      append_double(out, value.as_double());
      return;
    case Kind::kString:
      append_json_string(out, value.as_string());
      return;
    case Kind::kBytes:
      append_base64(out, value.as_bytes());
      return;
    case Kind::kList:
    case Kind::kMap: {
      const bool map = value.kind() == Kind::kMap;
      out.push_back(map ? '{' : '[');
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (i > 0) out.push_back(',');
        if (map) {
          append_json_string(out, value.key(i));
          out.push_back(':');
        }
        append_json(out, value[i]);
      }
      out.push_back(map ? '}' : ']');
      return;
    }
  }
}

}  // namespace dspool
