#include "bench/loadtest/throughput.h"

#include <algorithm>
#include <numeric>

namespace dspool::loadtest {
namespace {

constexpr auto kBeforePieces = static_cast<std::size_t>(Throughput::kBefore / Throughput::kPiece);
constexpr auto kAfterPieces = static_cast<std::size_t>(Throughput::kAfter / Throughput::kPiece);

}  // namespace

void Throughput::succeeded(std::chrono::nanoseconds at) {
  const auto piece = static_cast<std::size_t>(at / kPiece);
  if (piece >= pieces_.size()) pieces_.resize(piece + 1);
  ++pieces_[piece];
}

std::optional<std::chrono::milliseconds> Throughput::recovery_after(
    std::chrono::nanoseconds blow) const {
  const auto count = [this](std::size_t from, std::size_t to) {
    const auto first = pieces_.begin() + static_cast<std::ptrdiff_t>(from);
    return std::accumulate(first, pieces_.begin() + static_cast<std::ptrdiff_t>(to), 0.0);
  };
  const auto hit = std::min(static_cast<std::size_t>(blow / kPiece), pieces_.size());
  const std::size_t from = hit - std::min(hit, kBeforePieces);
  const double before = count(from, hit);
  if (before == 0) return std::nullopt;
  const double enough =
      kShare * before / static_cast<double>(hit - from) * static_cast<double>(kAfterPieces);
  for (std::size_t i = hit; i + kAfterPieces <= pieces_.size(); ++i) {
    if (count(i, i + kAfterPieces) >= enough) return kPiece * (i - hit);
  }
  return std::nullopt;
}

}  // namespace dspool::loadtest
