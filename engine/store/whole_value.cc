#include "engine/store/whole_value.h"

#include <string>
#include <vector>

#include "ipc/value_sequence.h"

namespace dspool::store {

Value whole_value(const StoredField& field) {
  std::vector<Value> parts = {Value::from_verified(field.base)};
  ipc::ValueSequence appended(field.appended);
  while (const auto part = appended.next()) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(part->data());
    parts.push_back(Value::from_verified({bytes, bytes + part->size()}));
  }
  if (parts.size() == 1) return std::move(parts.front());
  if (parts.front().kind() == Kind::kString) {
    std::string text;
    for (const Value& part : parts) text += part.as_string();
    return Value::of(text);
  }
  std::vector<Value::Item> items;
  for (const Value& part : parts) {
    for (std::size_t i = 0; i < part.size(); ++i) items.emplace_back(part[i]);
  }
  return Value::list(items);
}

}  // namespace dspool::store
