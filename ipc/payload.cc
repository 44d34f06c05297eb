#include "ipc/payload.h"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "ipc/memory_room.h"
#include "ipc/sealed_bytes.h"

namespace dspool::ipc {
namespace {

std::size_t slots_for(std::uint64_t payload_bytes) noexcept {
  return (sizeof(PayloadHeader) + payload_bytes + PayloadStore::kSlotBytes - 1) /
         PayloadStore::kSlotBytes;
}

}  // namespace

Payload::~Payload() {
  if (place_.in_slab) store_.give_back(place_);
}

Result<std::unique_ptr<PayloadStore>> PayloadStore::create(std::size_t slab_bytes) {
  if (slab_bytes == 0) return std::unique_ptr<PayloadStore>(new PayloadStore(nullptr));
  if (auto room = check_memory_room(slab_bytes, measure_memory_room()); !room) {
    return tl::unexpected(std::move(room.error()));
  }
  auto memfd = Memfd::create("dspool-slab", slab_bytes);
  if (!memfd) return tl::unexpected(std::move(memfd.error()));
  // Mapped before it is sealed: this stays the only mapping of it that can be written to.
  auto segment = Segment::map(memfd->descriptor(), slab_bytes, Access::kReadWrite);
  if (!segment) return tl::unexpected(std::move(segment.error()));
  if (auto sealed = memfd->seal(Seal::kSizeAndContent); !sealed) {
    return tl::unexpected(std::move(sealed.error()));
  }
  return std::unique_ptr<PayloadStore>(new PayloadStore(
      std::make_unique<Slab>(Slab{.memfd = std::move(*memfd), .segment = std::move(*segment)})));
}

PayloadStore::PayloadStore(std::unique_ptr<Slab> slab)
    : slab_(std::move(slab)),
      is_taken_(slab_ ? slab_->segment.bytes().size() / kSlotBytes : 0, false) {}

Result<std::shared_ptr<const Payload>> PayloadStore::place(std::span<const std::byte> bytes) {
  PayloadPlace place{.bytes = bytes.size(),
                     .generation = generations_.fetch_add(1, std::memory_order_relaxed) + 1};
  const PayloadHeader header{.generation = place.generation, .bytes = bytes.size()};
  if (const auto first = take_slots(slots_for(bytes.size()))) {
    place.offset = *first * kSlotBytes;
    place.in_slab = true;
    std::byte* const to = &slab_->segment.bytes()[place.offset];
    std::ranges::copy(bytes, to + sizeof header);
    new (to) PayloadHeader(header);
    return std::shared_ptr<const Payload>(new Payload(*this, place, {}));
  }
  const std::array parts{std::as_bytes(std::span(&header, 1)), bytes};
  auto memfd = seal_copy(parts);
  if (!memfd) return tl::unexpected(std::move(memfd.error()));
  return std::shared_ptr<const Payload>(new Payload(*this, place, std::move(*memfd)));
}

// The first run of free slots from where the last search ended, or from the beginning.
std::optional<std::size_t> PayloadStore::take_slots(std::size_t count) {
  const std::lock_guard lock(mutex_);
  const auto search = [&](std::size_t begin) {
    const auto from = is_taken_.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto run = std::search_n(from, is_taken_.end(), count, false);
    return static_cast<std::size_t>(run - is_taken_.begin());
  };
  std::size_t first = search(next_);
  if (first == is_taken_.size()) first = search(0);
  if (first == is_taken_.size()) return std::nullopt;
  next_ = first + count;
  std::fill_n(is_taken_.begin() + static_cast<std::ptrdiff_t>(first), count, true);
  return first;
}

void PayloadStore::give_back(const PayloadPlace& place) noexcept {
  new (&slab_->segment.bytes()[place.offset]) PayloadHeader{};
  const std::size_t first = place.offset / kSlotBytes;
  const std::lock_guard lock(mutex_);
  std::fill_n(is_taken_.begin() + static_cast<std::ptrdiff_t>(first), slots_for(place.bytes),
              false);
}

int PayloadStore::slab_descriptor() const noexcept {
  return slab_ ? slab_->memfd.descriptor() : -1;
}

std::size_t PayloadStore::free_slots() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count(is_taken_, false));
}

}  // namespace dspool::ipc
