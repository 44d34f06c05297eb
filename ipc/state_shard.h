// A shard of the state segment: some of its extents, cut into spans of blocks of one size.
//
// Threads: any.
#pragma once

#include <array>
#include <atomic>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "ipc/state_extent.h"
#include "ipc/state_holder.h"
#include "ipc/state_sizes.h"

namespace dspool::ipc {

class StateShard;

// Adjacent pages of an extent, cut into blocks of one size; those of a block longer than
// kLongestInSpan are a span for it alone.
class StateSpan final : public StateHolder,
                        public boost::intrusive::list_base_hook<
                            boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  StateSpan(StateShard& shard, StateExtent& extent, std::size_t first_page, std::size_t pages,
            std::size_t block_bytes);

  // REQUIRES: it is not full.
  std::byte* take() noexcept;
  // REQUIRES: the block was taken.
  void put_back(const std::byte* block) noexcept;
  [[nodiscard]] bool is_full() const noexcept { return taken_ == blocks_; }
  [[nodiscard]] bool is_empty() const noexcept { return taken_ == 0; }
  [[nodiscard]] std::size_t pages() const noexcept { return pages_; }
  void give_pages_back() noexcept { extent_.give_back(first_page_, pages_); }

  [[nodiscard]] std::size_t block_bytes() const noexcept override { return block_bytes_; }
  [[nodiscard]] StatePlace place_of(const std::byte* block) const noexcept override;
  void give_back(std::byte* block) noexcept override;

 private:
  StateShard& shard_;
  StateExtent& extent_;
  std::byte* const begin_;
  const std::uint32_t first_page_;
  const std::uint32_t pages_;
  const std::uint32_t block_bytes_;
  const std::uint32_t blocks_;
  std::uint32_t taken_ = 0;
  std::uint32_t first_word_ = 0;  // no word before it has a free block
  std::vector<std::uint64_t> is_free_;
};

class alignas(128) StateShard {  // a line of its own for each lock
 public:
  StateShard() = default;
  StateShard(const StateShard&) = delete;
  StateShard& operator=(const StateShard&) = delete;
  ~StateShard();

  // Empty: none of its extents has room. REQUIRES: bytes <= StateSegment::kLongestShared.
  StateBlock take(std::size_t bytes);
  void give_back(StateSpan& span, const std::byte* block) noexcept;
  void add(std::unique_ptr<StateExtent> extent);

  [[nodiscard]] std::size_t used_bytes() const noexcept {
    return used_bytes_.load(std::memory_order_relaxed);
  }

  // A hint, without the lock.
  [[nodiscard]] std::size_t free_pages() const noexcept {
    return free_pages_.load(std::memory_order_relaxed);
  }

  std::mutex growing;  // is held by the one that adds an extent; taken before the shard's own lock

 private:
  using Spans = boost::intrusive::list<StateSpan, boost::intrusive::constant_time_size<false>>;

  StateBlock block_of(StateSpan& span) noexcept;
  StateSpan* cut_span(std::size_t pages, std::size_t block_bytes);

  std::mutex mutex_;  // guards what follows
  std::vector<std::unique_ptr<StateExtent>> extents_;
  std::array<Spans, kSizeClasses> with_room_;  // the spans of each class that are not full
  std::atomic<std::size_t> used_bytes_ = 0;    // written under the lock, as is the next
  std::atomic<std::size_t> free_pages_ = 0;
};

}  // namespace dspool::ipc
