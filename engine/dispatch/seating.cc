#include "engine/dispatch/seating.h"

namespace dspool::dispatch {

Seating::Seating(std::size_t workers) : places_(workers) {
  for (auto& list : seats_) list.reserve(workers);
}

void Seating::set(std::uint32_t worker, Room room) noexcept {
  Place& place = places_[worker];
  if (place.room == room) return;
  if (place.room != Room::kNone) {
    auto& list = seats_[static_cast<std::size_t>(place.room)];
    const std::uint32_t last = list.back();
    list[place.position] = last;
    places_[last].position = place.position;
    list.pop_back();
  }
  place.room = room;
  if (room == Room::kNone) return;
  auto& list = seats_[static_cast<std::size_t>(room)];
  place.position = static_cast<std::uint32_t>(list.size());
  list.push_back(worker);
}

}  // namespace dspool::dispatch
