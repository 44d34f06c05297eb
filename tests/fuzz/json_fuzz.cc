// Texts as JSON: refused with a place, or a value that is written as JSON of the same value.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "dspool/value.h"
#include "engine/api/value_verifier.h"
#include "tests/fuzz/read_whole.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/work.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dspool;  // NOLINT(google-build-using-namespace): main, as it were
  const std::string text(data, data + size);
  const fuzz::Work parsing;
  const auto value = Value::parse_json(text);
  parsing.require_linear("parsing", size, 300, 20'000);
  if (!value) {
    fuzz::require(value.error().code == "invalid_json", "a refusal has its code");
    fuzz::require(value.error().message.find("line") != std::string::npos, "and says where");
    return 0;
  }
  fuzz::require(verify_value(value->bytes()), "what is parsed verifies");
  static_cast<void>(fuzz::read_whole(*value));
  const std::string json = value->to_json();
  const auto again = Value::parse_json(json);
  fuzz::require(again.has_value(), "what is written is JSON");
  fuzz::require(*again == *value, "of the same value");
  fuzz::require(again->to_json() == json, "and written the same");
  return 0;
}
