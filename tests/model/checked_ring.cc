#include "tests/model/checked_ring.h"

#include <cstring>
#include <string>

#include "tests/model/planted_bug.h"

namespace dspool::model {
namespace {

// Both ends of a body say which record it is.
void fill(std::span<std::byte> body, std::uint64_t id) {
  std::memcpy(body.data(), &id, sizeof id);
  std::memcpy(body.last(sizeof id).data(), &id, sizeof id);
}

bool is_filled(std::span<const std::byte> body, std::uint64_t id) {
  return std::memcmp(body.data(), &id, sizeof id) == 0 &&
         std::memcmp(body.last(sizeof id).data(), &id, sizeof id) == 0;
}

}  // namespace

CheckedRing::CheckedRing(RingBytes& bytes, std::uint32_t record_pages)
    : bytes_(bytes.bytes()),
      record_pages_(record_pages),
      producer_(tail_, head_, bytes_),
      consumer_(head_, tail_, bytes_) {
  tail_.set_name("tail");
  head_.set_name("head");
  tail_.plant(planted_bug().tail);
  head_.plant(planted_bug().head);
}

bool CheckedRing::push() {
  const auto place = producer_.try_reserve(body_bytes(record_pages_));
  execution_.require(!producer_.violated(), "the producer accuses an honest consumer");
  if (!place) return false;
  const std::size_t page = page_of(*place);
  if (page < pushed_to_page_) execution_.write_cells(pushed_to_page_, Execution::kCells);
  execution_.write_cells(page, page + record_pages_);
  pushed_to_page_ = page + record_pages_;
  fill(*place, ++pushed_);
  producer_.commit(1, pushed_);
  return true;
}

void CheckedRing::await_room() const {
  head_.await_change(producer_.known_head(), std::memory_order_relaxed);
}

bool CheckedRing::pop() {
  const auto record = consumer_.peek();
  execution_.require(!consumer_.violated(), "the consumer accuses an honest producer");
  if (!record) return false;
  const std::size_t page = page_of(record->body);
  if (page < popped_to_page_) execution_.read_cells(popped_to_page_, Execution::kCells);
  execution_.read_cells(page, page + record_pages_);
  popped_to_page_ = page + record_pages_;
  ++popped_;
  execution_.require(record->header.request_id == popped_, "a record was lost, or came twice");
  execution_.require(is_filled(record->body, popped_), "a record is torn");
  consumer_.release();
  return true;
}

bool CheckedRing::has_records() const {
  return tail_.load(std::memory_order_seq_cst) != head_.load(std::memory_order_relaxed);
}

std::size_t CheckedRing::page_of(std::span<const std::byte> body) const {
  const auto offset = static_cast<std::size_t>(body.data() - bytes_.data());
  return (offset - sizeof(ipc::RecordHeader)) / kPageBytes;
}

}  // namespace dspool::model
