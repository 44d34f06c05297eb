#include "engine/store/whole_value.h"

#include <utility>
#include <vector>

#include "engine/session/field.h"
#include "ipc/value_sequence.h"

namespace dspool::store {

Value whole_value(const StoredField& field) {
  std::vector<Value> parts = {Value::from_verified(field.base)};
  ipc::ValueSequence appended(field.appended);
  while (const auto part = appended.next()) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(part->data());
    parts.push_back(Value::from_verified({bytes, bytes + part->size()}));
  }
  return session::join(std::move(parts));
}

}  // namespace dspool::store
