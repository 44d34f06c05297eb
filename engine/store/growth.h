// What fields can grow by: a list by the elements of a list, a text by a text.
#pragma once

#include <cstdint>
#include <span>

#include "engine/api/flexbuffer.h"

namespace dspool::store {

enum class Growth : std::uint8_t { kNone, kList, kText };

// REQUIRES: `value` is a FlexBuffer that was verified.
[[nodiscard]] inline Growth growth_of(std::span<const std::uint8_t> value) noexcept {
  const flex::Type type = flex::type_of(value[value.size() - 2]);  // before the root's width
  if (type == flexbuffers::FBT_STRING || type == flexbuffers::FBT_KEY) return Growth::kText;
  const bool list = type == flexbuffers::FBT_VECTOR || flexbuffers::IsTypedVector(type) ||
                    flexbuffers::IsFixedTypedVector(type);
  return list ? Growth::kList : Growth::kNone;
}

}  // namespace dspool::store
