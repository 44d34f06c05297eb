// What a field is encoded to, in memory of its own: one FlexBuffer, zeros up to a multiple of 8,
// and the value sequence (ipc/value_sequence.h) of what was appended to it since.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ipc/value_sequence.h"

namespace dspool::python {

class Encoding {
 public:
  using Bytes = std::span<const std::uint8_t>;

  // Copies: first one FlexBuffer, then value sequences. REQUIRES: at least one piece.
  // `is_foreign`: somebody else may have written it, so an equal value may have other bytes.
  Encoding(std::span<const Bytes> pieces, bool is_foreign);

  // Amortised: its cost does not depend on what is there.
  void append(Bytes value);

  [[nodiscard]] Bytes base() const noexcept { return Bytes(bytes_).first(base_bytes_); }
  [[nodiscard]] bool is_foreign() const noexcept { return is_foreign_; }
  [[nodiscard]] bool is_list() const;
  [[nodiscard]] bool has_appended() const noexcept { return bytes_.size() > appended_at(); }
  [[nodiscard]] std::size_t held_bytes() const noexcept { return bytes_.capacity(); }

  // Visits the base, then what was appended, until `visit` says false; then false.
  template <typename Visit>
  bool each(const Visit& visit) const {
    if (!visit(base())) return false;
    ipc::ValueSequence appended(std::as_bytes(Bytes(bytes_).subspan(appended_at())));
    while (const auto value = appended.next()) {
      if (!visit(Bytes(reinterpret_cast<const std::uint8_t*>(value->data()), value->size()))) {
        return false;
      }
    }
    return true;
  }

 private:
  [[nodiscard]] std::size_t appended_at() const noexcept;

  std::vector<std::uint8_t> bytes_;
  std::size_t base_bytes_;
  bool is_foreign_;
};

}  // namespace dspool::python
