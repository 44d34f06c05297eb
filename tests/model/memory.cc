#include "tests/model/memory.h"

#include <algorithm>
#include <cassert>

namespace dspool::model {
namespace {

bool acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

bool releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

}  // namespace

void Memory::View::join(const View& other) {
  const auto newer = [](Stamp left, Stamp right) { return std::max(left, right); };
  std::transform(seen.begin(), seen.end(), other.seen.begin(), seen.begin(), newer);
  std::transform(clock.begin(), clock.end(), other.clock.begin(), clock.begin(), newer);
}

Location Memory::add_location(std::uint64_t initial) {
  assert(stores_.size() < kMaxLocations);
  stores_.push_back({{.value = initial, .released = {}}});
  return stores_.size() - 1;
}

// A clock of 0 is of what has not happened.
void Memory::begin(Thread thread, Thread child) {
  views_.at(child) = views_.at(thread);
  views_.at(child).clock.at(child) = 1;
}

Stamp Memory::newest(Location location) const {
  return static_cast<Stamp>(stores_[location].size() - 1);
}

std::uint64_t Memory::value(Location location, Stamp stamp) const {
  return stores_[location][stamp].value;
}

Stamp Memory::oldest_readable(Thread thread, Location location, std::memory_order order) const {
  const Stamp seen = views_.at(thread).seen.at(location);
  return order == std::memory_order_seq_cst ? std::max(seen, seq_cst_seen_.at(location)) : seen;
}

std::uint64_t Memory::load(Thread thread, Location location, Stamp stamp, std::memory_order order) {
  const Store& store = stores_[location][stamp];
  View& view = views_.at(thread);
  view.seen.at(location) = std::max(view.seen.at(location), stamp);
  if (acquires(order)) view.join(store.released);
  if (order == std::memory_order_seq_cst) {
    seq_cst_seen_.at(location) = std::max(seq_cst_seen_.at(location), stamp);
  }
  ++view.clock.at(thread);
  return store.value;
}

void Memory::store(Thread thread, Location location, std::uint64_t value, std::memory_order order) {
  append(thread, location, value, order, {});
}

std::uint64_t Memory::modify(Thread thread, Location location,
                             const std::function<std::uint64_t(std::uint64_t)>& change,
                             std::memory_order order) {
  const Store replaced = stores_[location].back();
  if (acquires(order)) views_.at(thread).join(replaced.released);
  append(thread, location, change(replaced.value), order, replaced.released);
  return replaced.value;
}

// The clock ticks after what it stamps: what the thread does next is in no view that was released.
void Memory::append(Thread thread, Location location, std::uint64_t value, std::memory_order order,
                    const View& inherited) {
  View& view = views_.at(thread);
  const auto stamp = static_cast<Stamp>(stores_[location].size());
  view.seen.at(location) = stamp;
  View released = inherited;
  released.seen.at(location) = stamp;
  if (releases(order)) released.join(view);
  stores_[location].push_back({.value = value, .released = released});
  if (order == std::memory_order_seq_cst) seq_cst_seen_.at(location) = stamp;
  ++view.clock.at(thread);
}

void Memory::make_visible(Thread thread, Location location) {
  seq_cst_seen_.at(location) =
      std::max(seq_cst_seen_.at(location), views_.at(thread).seen.at(location));
}

bool Memory::write_cell(Thread thread, std::size_t cell) {
  Cell& at = cells_.at(cell);
  View& view = views_.at(thread);
  bool ordered = at.written <= view.clock.at(at.writer);
  for (Thread reader = 0; reader < kMaxThreads; ++reader) {
    ordered = ordered && at.read.at(reader) <= view.clock.at(reader);
  }
  at = {.writer = thread, .written = view.clock.at(thread), .read = {}};
  return ordered;
}

bool Memory::read_cell(Thread thread, std::size_t cell) {
  Cell& at = cells_.at(cell);
  const View& view = views_.at(thread);
  at.read.at(thread) = view.clock.at(thread);
  return at.written <= view.clock.at(at.writer);
}

}  // namespace dspool::model
