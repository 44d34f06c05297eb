#include "ipc/state_shard.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

namespace dspool::ipc {
namespace {

constexpr std::size_t kWordBits = 64;

}  // namespace

StateSpan::StateSpan(StateShard& shard, StateExtent& extent, std::size_t first_page,
                     std::size_t pages, std::size_t block_bytes)
    : shard_(shard),
      extent_(extent),
      begin_(extent.begin() + first_page * kStatePageBytes),
      first_page_(static_cast<std::uint32_t>(first_page)),
      pages_(static_cast<std::uint32_t>(pages)),
      block_bytes_(static_cast<std::uint32_t>(block_bytes)),
      blocks_(static_cast<std::uint32_t>(pages * kStatePageBytes / block_bytes)),
      is_free_((blocks_ + kWordBits - 1) / kWordBits, ~std::uint64_t{0}) {
  const std::size_t over = is_free_.size() * kWordBits - blocks_;
  is_free_.back() >>= over;
}

std::byte* StateSpan::take() noexcept {
  while (is_free_[first_word_] == 0) ++first_word_;
  std::uint64_t& word = is_free_[first_word_];
  const std::size_t index =
      first_word_ * kWordBits + static_cast<std::size_t>(std::countr_zero(word));
  word &= word - 1;
  ++taken_;
  return begin_ + index * block_bytes_;
}

void StateSpan::put_back(const std::byte* block) noexcept {
  const auto index = static_cast<std::uint32_t>(block - begin_) / block_bytes_;
  const auto word = static_cast<std::uint32_t>(index / kWordBits);
  const std::uint64_t bit = std::uint64_t{1} << (index % kWordBits);
  assert((is_free_[word] & bit) == 0);
  is_free_[word] |= bit;
  first_word_ = std::min(first_word_, word);
  --taken_;
}

StatePlace StateSpan::place_of(const std::byte* block) const noexcept {
  return {.at = static_cast<std::uint64_t>(block - extent_.begin()), .extent = extent_.number()};
}

void StateSpan::give_back(std::byte* block) noexcept { shard_.give_back(*this, block); }

StateShard::~StateShard() { assert(used_bytes() == 0); }

StateBlock StateShard::take(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes > kLongestInSpan) {
    const std::size_t pages = pages_for(bytes);
    StateSpan* const span = cut_span(pages, pages * kStatePageBytes);
    return span != nullptr ? block_of(*span) : StateBlock();
  }
  const std::size_t size_class = size_class_of(std::max<std::size_t>(bytes, 1));
  Spans& spans = with_room_[size_class];
  if (spans.empty()) {
    StateSpan* const span = cut_span(kSpanPages, size_of_class(size_class));
    if (span == nullptr) return {};
    spans.push_front(*span);
  }
  StateSpan& span = spans.front();
  StateBlock block = block_of(span);
  if (span.is_full()) spans.pop_front();
  return block;
}

StateBlock StateShard::block_of(StateSpan& span) noexcept {
  used_bytes_.fetch_add(span.block_bytes(), std::memory_order_relaxed);
  return {&span, span.take()};
}

StateSpan* StateShard::cut_span(std::size_t pages, std::size_t block_bytes) {
  for (const auto& extent : extents_) {
    const auto first = extent->take_pages(pages);
    if (!first) continue;
    free_pages_.fetch_sub(pages, std::memory_order_relaxed);
    return new StateSpan(*this, *extent, *first, pages, block_bytes);  // until it is empty
  }
  return nullptr;
}

void StateShard::give_back(StateSpan& span, const std::byte* block) noexcept {
  const std::lock_guard lock(mutex_);
  used_bytes_.fetch_sub(span.block_bytes(), std::memory_order_relaxed);
  const bool was_full = span.is_full();
  span.put_back(block);
  if (span.is_empty()) {
    if (span.is_linked()) span.unlink();
    span.give_pages_back();
    free_pages_.fetch_add(span.pages(), std::memory_order_relaxed);
    delete &span;
  } else if (was_full) {
    with_room_[size_class_of(span.block_bytes())].push_front(span);
  }
}

void StateShard::add(std::unique_ptr<StateExtent> extent) {
  const std::lock_guard lock(mutex_);
  extents_.push_back(std::move(extent));
  free_pages_.fetch_add(StateExtent::kPages, std::memory_order_relaxed);
}

}  // namespace dspool::ipc
