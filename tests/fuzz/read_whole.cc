#include "tests/fuzz/read_whole.h"

#include <cstdint>
#include <string_view>

#include "tests/fuzz/require.h"

namespace dspool::fuzz {
namespace {

// Every byte, so that a sanitizer sees where it lies; the sum, so that no compiler leaves it out.
unsigned sum_of(std::string_view text) noexcept {
  unsigned sum = 0;
  for (const char each : text) sum = sum * 31 + static_cast<unsigned char>(each);
  return sum;
}

}  // namespace

std::size_t read_whole(const ValueView& value) {
  const Kind kind = value.kind();
  const auto bytes = value.as_bytes();
  const std::string_view text = value.as_string();
  volatile unsigned sum = sum_of(text);
  sum = sum_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  sum = static_cast<unsigned>(value.as_int64()) + value.as_bool();
  volatile double number = value.as_double();
  number = number + sum;
  require(!to_string(kind).empty() && to_string(kind) != "unknown", "every value has a kind");
  require(text.empty() || kind == Kind::kString, "only strings have characters");
  require(kind != Kind::kString || text.data()[text.size()] == '\0', "a NUL follows a string");
  require(bytes.empty() || kind == Kind::kBytes, "only bytes have bytes");
  require(value.size() == 0 || kind == Kind::kList || kind == Kind::kMap, "only these have a size");
  require(value[value.size()].is_null() && value.key(value.size()).empty(),
          "nothing is at the end");

  std::size_t read = 1 + text.size() + bytes.size();
  for (std::size_t i = 0; i < value.size(); ++i) {
    read += read_whole(value[i]);
    if (kind != Kind::kMap) continue;
    const std::string_view key = value.key(i);
    read += key.size();
    require(i == 0 || value.key(i - 1) < key, "keys ascend");
    require(value.contains(key) && value[key].kind() == value[i].kind(), "a key is found");
  }
  require(!value.contains("\xFF no such key") || kind == Kind::kMap, "only maps have keys");
  return read;
}

}  // namespace dspool::fuzz
