#include "python_worker/native/unread_fields.h"

#include <algorithm>
#include <cstring>

#include "ipc/layout.h"

namespace dspool::python {

void UnreadFields::begin(std::string_view keys, std::size_t fields, std::size_t pieces) {
  keys_ = keys;
  fields_.clear();
  fields_.reserve(fields);
  pieces_.clear();
  pieces_.reserve(pieces);
  blocks_.clear();
  left_ = 0;
  left_bytes_ = 0;
  is_kept_ = false;
}

void UnreadFields::add(std::size_t key_bytes) {
  const std::uint32_t key_at =
      fields_.empty() ? 0 : fields_.back().key_at + fields_.back().key_bytes;
  fields_.push_back({.key_at = key_at,
                     .key_bytes = static_cast<std::uint32_t>(key_bytes),
                     .first_piece = static_cast<std::uint32_t>(pieces_.size())});
  ++left_;
}

void UnreadFields::add_piece(Bytes piece) {
  pieces_.push_back(piece);
  ++fields_.back().pieces;
  left_bytes_ += piece.size();
}

UnreadFields::Field* UnreadFields::find(std::string_view key) noexcept {
  const auto found = std::lower_bound(
      fields_.begin(), fields_.end(), key,
      [this](const Field& field, std::string_view sought) { return key_of(field) < sought; });
  if (found == fields_.end() || found->is_read || key_of(*found) != key) return nullptr;
  return &*found;
}

std::span<const UnreadFields::Bytes> UnreadFields::pieces(const Field& field) const noexcept {
  return std::span(pieces_).subspan(field.first_piece, field.pieces);
}

void UnreadFields::mark_read(Field& field) noexcept {
  field.is_read = true;
  --left_;
  for (const Bytes& piece : pieces(field)) left_bytes_ -= piece.size();
}

bool UnreadFields::keep(std::size_t most_bytes) {
  if (is_kept_) return true;
  if (left_bytes_ > most_bytes) return false;
  constexpr std::size_t kPadding = ipc::kValueAlignment - 1;
  const std::size_t needed = left_bytes_ + pieces_.size() * kPadding;
  if (copy_bytes_ < needed) {
    copy_ = std::make_unique_for_overwrite<std::uint8_t[]>(needed);
    copy_bytes_ = needed;
  }
  std::size_t end = 0;
  for (const Field& field : fields_) {
    if (field.is_read) continue;
    for (Bytes& piece : std::span(pieces_).subspan(field.first_piece, field.pieces)) {
      std::memcpy(copy_.get() + end, piece.data(), piece.size());
      piece = {copy_.get() + end, piece.size()};
      end = (end + piece.size() + kPadding) & ~kPadding;
    }
  }
  blocks_.clear();
  is_kept_ = true;
  return true;
}

std::size_t UnreadFields::held_bytes() const noexcept {
  return copy_bytes_ + keys_.capacity() + fields_.capacity() * sizeof(Field) +
         pieces_.capacity() * sizeof(Bytes);
}

}  // namespace dspool::python
