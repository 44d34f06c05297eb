// A session's log as somebody else may have left it: refused, or a state that can be read to its
// end. As bytes that must have their checksums, and as bodies of records that get the right ones.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dspool/value.h"
#include "engine/store/frame.h"
#include "engine/store/stored_record.h"
#include "ipc/value_sequence.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/read_whole.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/work.h"

namespace dspool::fuzz {
namespace {

// A value expands at most 256 times, and what is visited of each is bounded by its own length and
// by 1 MiB: so much for every value that there could be.
constexpr std::uint64_t kStepsPerByte = 2'000'000;
constexpr std::uint64_t kFixedSteps = 50'000'000;

void read_values(const store::StoredField& field) {
  static_cast<void>(read_whole(Value::from_verified(field.base)));
  const Kind kind = Value::from_verified(field.base).kind();
  ipc::ValueSequence appended(field.appended);
  while (const auto value = appended.next()) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(value->data());
    const Value more = Value::from_verified({bytes, bytes + value->size()});
    static_cast<void>(read_whole(more));
    require(more.kind() == kind && (kind == Kind::kList || kind == Kind::kString),
            "what is appended is of the kind of what is there");
  }
  require(!appended.is_damaged(), "what was appended is a sequence");
}

void read(std::span<const std::byte> log) {
  const Work work;
  const auto state = store::read_log(log);
  work.require_linear("reading a log", log.size(), kStepsPerByte, kFixedSteps);
  if (!state) return require(!state.error().message.empty(), "a refusal says why");
  require(std::ranges::is_sorted(state->fields, {}, &store::StoredField::key),
          "fields are sorted by key");
  for (const store::StoredField& field : state->fields) read_values(field);
  for (const session::StoredAnswer& answer : state->answers) {
    static_cast<void>(read_whole(Value::from_verified(answer.value)));
  }
}

}  // namespace
}  // namespace dspool::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dspool::fuzz::read(std::as_bytes(std::span(data, size)));
  dspool::fuzz::Input input(data, size);
  std::vector<std::byte> log;
  while (!input.empty()) {
    const auto length = input.take<std::uint16_t>();
    dspool::store::append_frame(input.take_bytes(length), log);
  }
  dspool::fuzz::read(log);
  return 0;
}
