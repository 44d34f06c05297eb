#include "python_worker/native/encoding.h"

#include <flatbuffers/flexbuffers.h>

#include <algorithm>
#include <numeric>

#include "ipc/layout.h"

namespace dspool::python {
namespace {

constexpr std::size_t aligned(std::size_t bytes) noexcept {
  return (bytes + ipc::kValueAlignment - 1) / ipc::kValueAlignment * ipc::kValueAlignment;
}

}  // namespace

Encoding::Encoding(std::span<const Bytes> pieces, bool is_foreign)
    : base_bytes_(pieces.front().size()), is_foreign_(is_foreign) {
  const std::size_t all = std::accumulate(
      pieces.begin(), pieces.end(), std::size_t{0},
      [](std::size_t sum, const Bytes& piece) { return sum + aligned(piece.size()); });
  bytes_.reserve(all);
  for (const Bytes& piece : pieces) {
    bytes_.insert(bytes_.end(), piece.begin(), piece.end());
    bytes_.resize(aligned(bytes_.size()));
  }
}

void Encoding::append(Bytes value) {
  const std::size_t end = bytes_.size();
  const std::size_t needed = end + ipc::sequence_bytes(value.size());
  if (needed > bytes_.capacity()) bytes_.reserve(needed + needed / 2);
  bytes_.resize(needed);
  ipc::write_in_sequence(reinterpret_cast<std::byte*>(bytes_.data() + end), std::as_bytes(value));
}

bool Encoding::is_list() const {
  const auto root = flexbuffers::GetRoot(bytes_.data(), base_bytes_);
  return root.IsUntypedVector() || root.IsTypedVector() || root.IsFixedTypedVector();
}

std::size_t Encoding::appended_at() const noexcept { return aligned(base_bytes_); }

}  // namespace dspool::python
