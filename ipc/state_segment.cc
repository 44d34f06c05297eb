#include "ipc/state_segment.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "ipc/state_extent.h"
#include "ipc/state_holder.h"
#include "ipc/state_shard.h"
#include "ipc/state_sizes.h"

namespace dspool::ipc {
namespace {

// A part of the limit, given back unless it is kept.
class Reservation {
 public:
  Reservation(std::atomic<std::size_t>& reserved, std::size_t bytes, std::size_t limit) noexcept {
    std::size_t before = reserved.load();
    do {
      if (bytes > limit - before) return;
    } while (!reserved.compare_exchange_weak(before, before + bytes));
    reserved_ = &reserved;
    bytes_ = bytes;
  }
  Reservation(Reservation&& other) noexcept
      : reserved_(std::exchange(other.reserved_, nullptr)), bytes_(other.bytes_) {}
  Reservation& operator=(Reservation&&) = delete;
  ~Reservation() {
    if (reserved_ != nullptr) *reserved_ -= bytes_;
  }

  explicit operator bool() const noexcept { return reserved_ != nullptr; }
  void keep() noexcept { reserved_ = nullptr; }

 private:
  std::atomic<std::size_t>* reserved_ = nullptr;  // null: nothing
  std::size_t bytes_ = 0;
};

// A block by itself: ends with its one block.
class StateMemfd final : public StateHolder {
 public:
  StateMemfd(StateMemory memory, std::uint64_t number, Reservation reservation,
             std::atomic<std::size_t>& used_bytes) noexcept
      : memory_(std::move(memory)),
        number_(number),
        reservation_(std::move(reservation)),
        used_bytes_(used_bytes) {
    used_bytes_ += block_bytes();
  }
  ~StateMemfd() override { used_bytes_ -= block_bytes(); }

  [[nodiscard]] std::byte* begin() const noexcept { return memory_.segment.bytes().data(); }
  [[nodiscard]] std::size_t block_bytes() const noexcept override {
    return memory_.segment.bytes().size();
  }
  [[nodiscard]] StatePlace place_of(const std::byte*) const noexcept override {
    return {.at = number_, .extent = StatePlace::kByItself};
  }
  [[nodiscard]] int descriptor() const noexcept override { return memory_.memfd.descriptor(); }
  void give_back(std::byte*) noexcept override { delete this; }

 private:
  const StateMemory memory_;
  const std::uint64_t number_;
  const Reservation reservation_;
  std::atomic<std::size_t>& used_bytes_;
};

}  // namespace

StateBlock::StateBlock(StateBlock&& other) noexcept
    : holder_(std::exchange(other.holder_, nullptr)),
      begin_(std::exchange(other.begin_, nullptr)) {}

StateBlock& StateBlock::operator=(StateBlock&& other) noexcept {
  StateBlock old(std::move(other));
  std::swap(holder_, old.holder_);
  std::swap(begin_, old.begin_);
  return *this;
}

StateBlock::~StateBlock() {
  if (holder_ != nullptr) holder_->give_back(begin_);
}

std::span<std::byte> StateBlock::bytes() const noexcept {
  return {begin_, holder_ != nullptr ? holder_->block_bytes() : 0};
}

StatePlace StateBlock::place() const noexcept { return holder_->place_of(begin_); }

int StateBlock::descriptor() const noexcept {
  return holder_ != nullptr ? holder_->descriptor() : -1;
}

StateSegment::StateSegment(std::size_t limit_bytes)
    : limit_bytes_(limit_bytes),
      most_extents_(
          static_cast<std::uint32_t>(std::max<std::size_t>(1, limit_bytes / 4 * 3 / kExtentBytes))),
      descriptors_(new int[most_extents_]) {
  for (auto& shard : shards_) shard = std::make_unique<StateShard>();
}

StateSegment::~StateSegment() = default;

std::size_t StateSegment::block_bytes(std::size_t bytes) noexcept {
  if (bytes > kLongestInSpan) return pages_for(bytes) * kStatePageBytes;
  return size_of_class(size_class_of(std::max<std::size_t>(bytes, 1)));
}

StateBlock StateSegment::allocate(std::size_t bytes, std::uint64_t shard) noexcept {
  try {
    if (bytes > kLongestShared) return allocate_by_itself(bytes);
    StateShard& own = *shards_[shard % kShards];
    if (StateBlock block = own.take(bytes)) return block;
    {
      const std::lock_guard growing(own.growing);
      while (true) {
        if (StateBlock block = own.take(bytes)) return block;  // another thread has added one
        if (!grow(own)) break;
      }
    }
    for (const auto& other : shards_) {
      if (StateBlock block = other->take(bytes)) return block;
    }
  } catch (const std::exception&) {  // there is no memory for what is kept about a block
  }
  return {};
}

void StateSegment::grow_ahead(std::uint64_t shard) noexcept {
  constexpr std::size_t kLittleRoomPages = StateExtent::kPages / 8;
  StateShard& own = *shards_[shard % kShards];
  if (own.free_pages() >= kLittleRoomPages) return;
  const std::unique_lock growing(own.growing, std::try_to_lock);
  if (!growing || own.free_pages() >= kLittleRoomPages) return;
  try {
    grow(own);
  } catch (const std::exception&) {  // there is no memory for what is kept about an extent
  }
}

StateBlock StateSegment::allocate_by_itself(std::size_t bytes) {
  const std::size_t rounded = block_bytes(bytes);
  Reservation reservation(reserved_bytes_, rounded, limit_bytes_);
  if (!reservation) return {};
  auto memory = StateMemory::create("dspool-state-block", rounded);
  if (!memory) return {};
  const std::uint64_t number = blocks_by_themselves_.fetch_add(1, std::memory_order_relaxed) + 1;
  auto* const holder =
      new StateMemfd(std::move(*memory), number, std::move(reservation), used_by_themselves_bytes_);
  return {holder, holder->begin()};
}

// REQUIRES: the shard's `growing` is held.
bool StateSegment::grow(StateShard& shard) {
  if (extents_.load(std::memory_order_relaxed) >= most_extents_) return false;
  Reservation reservation(reserved_bytes_, kExtentBytes, limit_bytes_);
  if (!reservation) return false;
  auto memory = StateMemory::create("dspool-state", kExtentBytes);
  if (!memory) return false;
  const std::lock_guard lock(growth_);
  if (extents_.load(std::memory_order_relaxed) >= most_extents_) return false;
  const std::uint32_t number = extents_.load(std::memory_order_relaxed);
  descriptors_[number] = memory->memfd.descriptor();
  shard.add(std::make_unique<StateExtent>(std::move(*memory), number));
  extents_.store(number + 1, std::memory_order_release);  // (E)
  reservation.keep();
  return true;
}

std::uint32_t StateSegment::extents() const noexcept {
  return extents_.load(std::memory_order_acquire);  // (E)
}

int StateSegment::descriptor(std::uint32_t extent) const noexcept { return descriptors_[extent]; }

std::size_t StateSegment::used_bytes() const noexcept {
  std::size_t used = used_by_themselves_bytes_.load();
  for (const auto& shard : shards_) used += shard->used_bytes();
  return used;
}

bool StateSegment::is_nearly_full() const noexcept {
  std::size_t in_extents = 0;
  for (const auto& shard : shards_) in_extents += shard->used_bytes();
  const std::size_t by_themselves = used_by_themselves_bytes_.load();
  const auto is_near = [](std::size_t used, std::size_t limit) { return used > limit / 8 * 7; };
  return is_near(in_extents, most_extents_ * kExtentBytes) ||
         is_near(by_themselves, limit_bytes_ - extents() * kExtentBytes) ||
         is_near(in_extents + by_themselves, limit_bytes_);
}

std::size_t StateSegment::reserved_bytes() const noexcept { return reserved_bytes_.load(); }

}  // namespace dspool::ipc
