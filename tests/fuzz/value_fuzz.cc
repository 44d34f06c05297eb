// Values that somebody else encoded: refused, or readable to their end in every way there is.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "dspool/value.h"
#include "engine/api/value_verifier.h"
#include "tests/fuzz/read_whole.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/work.h"

namespace dspool::fuzz {
namespace {

// Above this, a value is read but not copied: what is shared within it would not be in its copies.
constexpr std::size_t kCopiedElements = 20'000;

void check_copies(const Value& value, std::size_t read) {
  const Work work;
  const std::string json = value.to_json();
  work.require_linear("writing JSON", read, 150, 1'000);
  const auto parsed = Value::parse_json(json);
  require(parsed.has_value(), "what is written is JSON");
  require(read_whole(*parsed) > 0 && verify_value(parsed->bytes()), "what is parsed can be read");
  const Value copy = value.view().to_value();
  require(verify_value(copy.bytes()), "a copy verifies");
  require(copy.to_json() == json, "a copy is the same");
  require(copy == value || !(value == value), "a copy is equal, unless there is a NaN");
}

}  // namespace
}  // namespace dspool::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dspool;  // NOLINT(google-build-using-namespace): main, as it were
  std::vector<std::uint8_t> bytes(data, data + size);
  const std::size_t expansion = expansion_limit_bytes(size);
  std::size_t left = expansion;
  const fuzz::Work verifying;
  const bool verified = verify_value(bytes, left);
  verifying.require_linear("verifying", size + expansion - left, 30, 1'000);

  const auto value = Value::from_bytes(std::move(bytes));
  fuzz::require(value.has_value() == verified, "what verifies is a value");
  if (!verified) return 0;
  const std::size_t read = fuzz::read_whole(*value);
  if (read <= fuzz::kCopiedElements) fuzz::check_copies(*value, read);
  return 0;
}
