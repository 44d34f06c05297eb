// The fields of a session that no command has used since they came: for each its key and where its
// encoding lies. So a session that is hydrated costs little more than finding what is used of it.
//
// Lifetime: at first the encodings lie in shared memory, which ends with the request; `keep` copies
// what is left into memory of its own.
//
// Threads: the GIL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "python_worker/native/block_view.h"

namespace dspool::python {

class UnreadFields {
 public:
  using Bytes = std::span<const std::uint8_t>;
  struct Field {
    std::uint32_t key_at = 0;
    std::uint32_t key_bytes = 0;
    std::uint32_t first_piece = 0;
    std::uint32_t pieces = 0;
    bool is_read = false;
  };

  // ---- filling ----
  // Begins anew, in the memory that it has. `keys`: of all fields, one after the other.
  void begin(std::string_view keys, std::size_t fields, std::size_t pieces);
  // The field whose key comes next in `keys`. REQUIRES: it comes after the others in byte order.
  void add(std::size_t key_bytes);
  // Of the field that was added last.
  void add_piece(Bytes piece);
  // Memory that pieces lie in, to be held until `keep`.
  void hold(std::unique_ptr<BlockView> block) { blocks_.push_back(std::move(block)); }

  // ---- reading ----
  [[nodiscard]] std::size_t size() const noexcept { return left_; }
  // The field of this key that has not been read yet, or null.
  [[nodiscard]] Field* find(std::string_view key) noexcept;
  // First one FlexBuffer, then value sequences (ipc/value_sequence.h).
  [[nodiscard]] std::span<const Bytes> pieces(const Field& field) const noexcept;
  void mark_read(Field& field) noexcept;
  // Visits the keys that are left, sorted, until `visit` says false; then false.
  template <typename Visit>
  bool each_key(const Visit& visit) const {
    for (const Field& field : fields_) {
      if (!field.is_read && !visit(key_of(field))) return false;
    }
    return true;
  }

  // ---- when the request ends ----
  // From now on nothing lies in shared memory. False: what is left is longer than `most_bytes`, and
  // must not be used any more.
  [[nodiscard]] bool keep(std::size_t most_bytes);
  // What this takes of the worker's memory, once it was kept.
  [[nodiscard]] std::size_t held_bytes() const noexcept;

 private:
  [[nodiscard]] std::string_view key_of(const Field& field) const noexcept {
    return std::string_view(keys_).substr(field.key_at, field.key_bytes);
  }

  std::vector<Field> fields_;  // sorted by key
  std::vector<Bytes> pieces_;
  std::string keys_;
  std::size_t left_ = 0;
  std::size_t left_bytes_ = 0;
  std::vector<std::unique_ptr<BlockView>> blocks_;
  std::unique_ptr<std::uint8_t[]> copy_;
  std::size_t copy_bytes_ = 0;  // that there is room for
  bool is_kept_ = false;
};

}  // namespace dspool::python
