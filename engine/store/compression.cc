#include "engine/store/compression.h"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace dspool::store {
namespace {

constexpr int kLevel = 1;  // a commit waits for it, and higher ones gain little on short values

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
};

// A new one costs more than what it compresses, so that each thread keeps its own.
ZSTD_CCtx* context_of_thread() {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> kContext(ZSTD_createCCtx());
  return kContext.get();
}

// Makes the compressed bytes at least `least` with a frame that is skipped.
void fill_up(std::vector<std::uint8_t>& compressed, std::size_t least) {
  if (compressed.size() >= least) return;
  constexpr std::uint32_t kSkippedFrame = ZSTD_MAGIC_SKIPPABLE_START;
  constexpr std::size_t kHeaderBytes = 8;  // the frame's magic number, and its length
  const std::size_t at = compressed.size();
  const std::size_t rest = least - at;
  const auto skipped = static_cast<std::uint32_t>(rest - std::min(rest, kHeaderBytes));
  compressed.resize(at + kHeaderBytes + skipped);
  std::memcpy(&compressed[at], &kSkippedFrame, sizeof kSkippedFrame);
  std::memcpy(&compressed[at + sizeof kSkippedFrame], &skipped, sizeof skipped);
}

}  // namespace

bool compress(std::span<const std::uint8_t> value, std::vector<std::uint8_t>& to) {
  ZSTD_CCtx* const context = context_of_thread();
  if (context == nullptr || value.size() < kCompressedFrom) return false;
  to.resize(ZSTD_compressBound(value.size()));
  const std::size_t size =
      ZSTD_compressCCtx(context, to.data(), to.size(), value.data(), value.size(), kLevel);
  if (ZSTD_isError(size) != 0 || size >= value.size()) return false;
  to.resize(size);
  fill_up(to, value.size() / kMostExpansion + 1);
  return true;
}

bool decompress(std::span<const std::uint8_t> compressed, std::size_t raw_bytes,
                std::vector<std::uint8_t>& to) {
  if (raw_bytes / kMostExpansion > compressed.size()) return false;
  to.resize(raw_bytes);
  return ZSTD_decompress(to.data(), to.size(), compressed.data(), compressed.size()) == raw_bytes;
}

}  // namespace dspool::store
