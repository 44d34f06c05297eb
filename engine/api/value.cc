// Making values. Encoding is the library's; what it would do with input that nobody checked is
// kept from it here: equal keys, and texts that no NUL follows (it copies one byte more than told).
#include "dspool/value.h"

#include <flatbuffers/flexbuffers.h>

#include <algorithm>
#include <array>

#include "engine/api/json_reader.h"
#include "engine/api/value_verifier.h"

namespace dspool {
namespace {

constexpr std::array<std::uint8_t, 7> kEmptyMap = {0, 0, 1, 0, 0, flexbuffers::FBT_MAP << 2, 1};

bool holds_others(const Value::Item& item) {
  if (const auto* view = std::get_if<ValueView>(&item.content())) return view->size() > 0;
  return std::holds_alternative<std::span<const Value::Member>>(item.content()) ||
         std::holds_alternative<std::span<const Value::Item>>(item.content());
}

// Keys are written once and shared. Finding those that were written before is a quarter of all the
// work, and is left out where there is but one map and nothing else that could hold another.
flexbuffers::BuilderFlag sharing(const Value::Item& root) {
  const auto* map = std::get_if<std::span<const Value::Member>>(&root.content());
  const bool flat = map != nullptr && std::ranges::none_of(*map, [](const Value::Member& member) {
                      return holds_others(member.second);
                    });
  return flat ? flexbuffers::BUILDER_FLAG_NONE : flexbuffers::BUILDER_FLAG_SHARE_KEYS;
}

class Encoder {
 public:
  explicit Encoder(const Value::Item& root) : builder_(256, sharing(root)) { item(root); }

  std::vector<std::uint8_t> finish() && {
    builder_.Finish();
    const std::vector<std::uint8_t>& buffer = builder_.GetBuffer();
    return {buffer.begin(), buffer.end()};
  }

 private:
  void item(const Value::Item& item) {
    std::visit([this](const auto& content) { put(content); }, item.content());
  }

  void put(std::nullptr_t) { builder_.Null(); }
  void put(bool value) { builder_.Bool(value); }
  void put(std::int64_t value) { builder_.Int(value); }
  void put(double value) { builder_.Double(value); }
  void put(std::span<const std::byte> bytes) { builder_.Blob(bytes.data(), bytes.size()); }

  void put(const Value::Item::Text& text) {
    if (text.terminated) {
      builder_.String(text.characters.data(), text.characters.size());
    } else {
      terminated_.assign(text.characters);
      builder_.String(terminated_);
    }
  }

  void put(std::span<const Value::Item> items) {
    const std::size_t start = builder_.StartVector();
    for (const Value::Item& each : items) item(each);
    builder_.EndVector(start, false, false);
  }

  // The builder keeps both of two equal keys: only the last one may reach it.
  void put(std::span<const Value::Member> members) {
    std::vector<const Value::Member*> sorted;
    sorted.reserve(members.size());
    for (const Value::Member& member : members) sorted.push_back(&member);
    std::ranges::sort(sorted, [](const Value::Member* a, const Value::Member* b) {
      const int order = key_of(*a).compare(key_of(*b));
      return order != 0 ? order < 0 : a > b;
    });
    const std::size_t start = builder_.StartMap();
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      const std::string_view name = key_of(*sorted[i]);
      if (i > 0 && name == key_of(*sorted[i - 1])) continue;
      key(name);
      item(sorted[i]->second);
    }
    builder_.EndMap(start);
  }

  void put(const ValueView& value) {
    switch (value.kind()) {
      case Kind::kNull:
        return builder_.Null();
      case Kind::kBool:
        return builder_.Bool(value.as_bool());
      case Kind::kInt:
        return builder_.Int(value.as_int64());
      case Kind::kDouble:
        return builder_.Double(value.as_double());
      case Kind::kString:
        return put(Value::Item::Text{value.as_string(), true});
      case Kind::kBytes:
        return put(value.as_bytes());
      case Kind::kList: {
        const std::size_t start = builder_.StartVector();
        for (std::size_t i = 0; i < value.size(); ++i) put(value[i]);
        builder_.EndVector(start, false, false);
        return;
      }
      case Kind::kMap: {
        const std::size_t start = builder_.StartMap();
        for (std::size_t i = 0; i < value.size(); ++i) {
          key(value.key(i));
          put(value[i]);
        }
        builder_.EndMap(start);
        return;
      }
    }
  }

  static std::string_view key_of(const Value::Member& member) {
    return member.first.substr(0, member.first.find('\0'));
  }

  void key(std::string_view name) {
    terminated_.assign(name);
    builder_.Key(terminated_);
  }

  flexbuffers::Builder builder_;
  std::string terminated_;
};

}  // namespace

Value::Value(std::initializer_list<Member> members)
    : buffer_(Encoder(std::span<const Member>(members)).finish()) {}

Value Value::map(std::span<const Member> members) { return of(Item(members)); }

Value Value::list(std::initializer_list<Item> items) { return of(std::span<const Item>(items)); }

Value Value::list(std::span<const Item> items) { return of(Item(items)); }

Value Value::of(Item item) { return from_verified(Encoder(item).finish()); }

Result<Value> Value::parse_json(std::string_view text) { return read_json(text); }

Result<Value> Value::from_bytes(std::vector<std::uint8_t> bytes) {
  if (verify_value(bytes)) return from_verified(std::move(bytes));
  return tl::unexpected(
      Error{.category = ErrorCategory::kCommunication,
            .code = "invalid_value",
            .message = std::to_string(bytes.size()) +
                       " bytes are not a valid FlexBuffer: whoever encoded them has to be "
                       "repaired (keys unique, ascending and terminated; at most 64 lists and maps "
                       "in each other; no reference to what contains it)"});
}

Value Value::from_verified(std::vector<std::uint8_t> bytes) noexcept {
  Value value;
  value.buffer_ = std::move(bytes);
  return value;
}

std::span<const std::uint8_t> Value::bytes() const noexcept {
  if (buffer_.empty()) return kEmptyMap;
  return buffer_;
}

ValueView Value::view() const noexcept {
  if (buffer_.empty()) return {};
  const std::uint8_t width = buffer_.back();
  return {buffer_.data() + buffer_.size() - 2 - width, width, buffer_[buffer_.size() - 2]};
}

}  // namespace dspool
