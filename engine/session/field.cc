#include "engine/session/field.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "engine/api/flexbuffer.h"
#include "ipc/value_sequence.h"

namespace dspool::session {
namespace {

constexpr std::size_t kLeastChunkBytes = 256;
// A block this much longer than its value is given back rather than written to again.
constexpr std::size_t kMostSpare = 4;

Value value_from(std::span<const std::byte> bytes) {
  const auto* const data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return Value::from_verified({data, data + bytes.size()});
}

}  // namespace

FieldKind kind_of(std::span<const std::uint8_t> value) noexcept {
  constexpr std::size_t kLeastBytes = 3;
  if (value.size() < kLeastBytes) return FieldKind::kOther;
  const flex::Type type = flex::type_of(value[value.size() - 2]);
  if (type == flexbuffers::FBT_STRING || type == flexbuffers::FBT_KEY) return FieldKind::kText;
  const bool is_list = type == flexbuffers::FBT_VECTOR || flexbuffers::IsTypedVector(type) ||
                       flexbuffers::IsFixedTypedVector(type);
  return is_list ? FieldKind::kList : FieldKind::kOther;
}

Value join(std::vector<Value> parts) {
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

std::span<const std::uint8_t> Field::base() const noexcept {
  return {reinterpret_cast<const std::uint8_t*>(base_.bytes().data()), base_bytes_};
}

Value Field::value() const {
  std::vector<Value> parts{value_from(std::as_bytes(base()))};
  for (const Chunk& chunk : chunks_) {
    ipc::ValueSequence values(chunk.bytes());
    while (const auto appended = values.next()) parts.push_back(value_from(*appended));
  }
  return join(std::move(parts));
}

bool Field::fits(std::size_t bytes) const noexcept {
  const std::size_t room = base_.bytes().size();
  return base_ && bytes <= room && room <= kMostSpare * std::max(bytes, kLeastChunkBytes);
}

bool Field::has_room(std::size_t bytes) const noexcept {
  if (chunks_.empty()) return false;
  const Chunk& last = chunks_.back();
  return ipc::sequence_bytes(bytes) <= last.block.bytes().size() - last.used_bytes;
}

std::size_t Field::next_chunk_bytes(std::size_t bytes) const noexcept {
  const std::size_t quarter = std::min(value_bytes() / 4, ipc::StateSegment::kLongestShared);
  return std::max({ipc::sequence_bytes(bytes), quarter, kLeastChunkBytes});
}

void Field::put_in_place(std::span<const std::uint8_t> value) noexcept {
  assert(fits(value.size()));
  std::ranges::copy(std::as_bytes(value), base_.bytes().begin());
  is_now(value);
}

void Field::put_block(ipc::StateBlock& block, std::span<const std::uint8_t> value) noexcept {
  std::swap(base_, block);
  is_now(value);
}

void Field::is_now(std::span<const std::uint8_t> value) noexcept {
  base_bytes_ = static_cast<std::uint32_t>(value.size());
  kind_ = kind_of(value);
  chunks_.clear();
  appended_bytes_ = 0;
}

void Field::append_in_place(std::span<const std::uint8_t> value) noexcept {
  assert(has_room(value.size()));
  Chunk& last = chunks_.back();
  ipc::write_in_sequence(last.block.bytes().data() + last.used_bytes, std::as_bytes(value));
  last.used_bytes += static_cast<std::uint32_t>(ipc::sequence_bytes(value.size()));
  appended_bytes_ += value.size();
}

void Field::append_chunk(ipc::StateBlock block, std::size_t used_bytes, std::size_t value_bytes) {
  assert(used_bytes <= block.bytes().size());
  chunks_.push_back(
      {.block = std::move(block), .used_bytes = static_cast<std::uint32_t>(used_bytes)});
  appended_bytes_ += value_bytes;
}

}  // namespace dspool::session
