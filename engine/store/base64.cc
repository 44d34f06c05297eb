#include "engine/store/base64.h"

#include <cstdint>
#include <span>

#include "dspool/value.h"

namespace dspool::store {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string to_base64(std::string_view bytes) {
  // As bytes are written in JSON, without the quotes.
  const std::string json = Value::of(std::as_bytes(std::span(bytes))).to_json();
  return json.substr(1, json.size() - 2);
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t group = 0;
  std::uint32_t bits = 0;
  for (const char digit : text) {
    const std::size_t value = kAlphabet.find(digit);
    if (value == std::string_view::npos) return std::nullopt;
    group = group << 6 | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<char>(group >> bits & 0xFF));
  }
  // What is left of the last digit must be zeros, or two texts would mean the same.
  if (bits != 2 * padding || (group & ((1U << bits) - 1)) != 0) return std::nullopt;
  return bytes;
}

}  // namespace dspool::store
