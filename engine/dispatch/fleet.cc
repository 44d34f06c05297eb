#include "engine/dispatch/fleet.h"

#include <algorithm>
#include <cassert>
#include <ranges>

namespace dspool::dispatch {
namespace {

// Each of them is replaced at least by itself.
constexpr std::uint32_t kReplacedShare = 10;

}  // namespace

Fleet::Fleet(const FleetTerms& terms, std::uint32_t target)
    : terms_(terms), places_(target), target_(target), last_needed_(terms.overflow) {
  assert(target >= 1 && target <= terms.places);
  for (Place& place : places_) place = {.state = PlaceState::kStarting, .generation = 1};
}

// ---- events ----

void Fleet::ready(std::uint32_t index, TimePoint now) {
  Place* const place = find(index);
  if (place == nullptr || place->state != PlaceState::kStarting) return;
  place->state = PlaceState::kServing;
  place->ready_at = now;
  place->rests = false;
  place->worn = false;
}

void Fleet::lost(std::uint32_t index) {
  Place* const place = find(index);
  if (place == nullptr) return;
  if (place->state == PlaceState::kServing) {
    place->state = PlaceState::kStarting;
    ++place->generation;
    place->rests = false;
    place->worn = false;
  } else if (place->state == PlaceState::kEmptying) {
    place->is_empty = true;
  }
}

void Fleet::emptied(std::uint32_t index) {
  Place* const place = find(index);
  if (place != nullptr && place->state == PlaceState::kEmptying) place->is_empty = true;
}

void Fleet::found_busy(std::uint32_t index) {
  Place* const place = find(index);
  if (place == nullptr || place->state != PlaceState::kLeaving) return;
  place->state = PlaceState::kEmptying;
  place->reason = MigrationReason::kResize;
  place->is_empty = false;
}

void Fleet::vacated(std::uint32_t index) {
  Place* const place = find(index);
  if (place != nullptr && place->state == PlaceState::kLeaving) place->state = PlaceState::kEmpty;
}

void Fleet::used(std::uint32_t index, std::uint64_t requests, std::uint64_t memory_bytes) {
  Place* const place = find(index);
  if (place == nullptr || place->state != PlaceState::kServing) return;
  const bool served_enough = terms_.max_requests != 0 && requests >= terms_.max_requests;
  const bool too_large = terms_.max_memory_bytes != 0 && memory_bytes >= terms_.max_memory_bytes;
  if (served_enough || too_large) wear(*place, MigrationReason::kRecycle);
}

// The first reason stays.
void Fleet::wear(Place& place, MigrationReason reason) {
  if (!place.worn) place.reason = reason;
  place.worn = true;
}

void Fleet::note_age(TimePoint now) {
  if (terms_.max_age.count() == 0) return;
  for (Place& place : places_) {
    if (place.state != PlaceState::kServing || now - place.ready_at < terms_.max_age) continue;
    wear(place, MigrationReason::kRecycle);
  }
}

// ---- wishes ----

bool Fleet::can_drain(std::uint32_t place) const {
  if (is_drained(place)) return true;
  return state(place) == PlaceState::kServing && target_ > 1 && count(PlaceState::kServing) > 1;
}

void Fleet::drain(std::uint32_t index) {
  assert(can_drain(index));
  if (is_drained(index)) return;
  --target_;
  // As worn, and first in the row: `empty_some` finds one too many, or a replacement under way.
  Place& place = places_[index];
  place.worn = true;
  place.reason = MigrationReason::kDrain;
}

bool Fleet::is_drained(std::uint32_t place) const {
  return state(place) == PlaceState::kServing && places_[place].worn &&
         places_[place].reason == MigrationReason::kDrain;
}

void Fleet::evacuate(std::uint32_t index) {
  Place* const place = find(index);
  assert(place != nullptr && place->state == PlaceState::kServing);
  if (is_drained(index)) return;
  place->worn = true;
  place->reason = MigrationReason::kEvacuate;
}

// ---- a step ----

std::vector<FleetOrder> Fleet::step(const FleetLoad& load, TimePoint now) {
  std::vector<FleetOrder> orders;
  heed(load, now);
  note_age(now);
  empty_some(orders);
  start_and_cancel(orders);
  let_rest(orders);
  end_some(orders);
  is_to_shrink_ = false;
  return orders;
}

// How many workers above the target are called for.
void Fleet::heed(const FleetLoad& load, TimePoint now) {
  if (load.waiting == 0) waiting_since_.reset();
  if (load.waiting != 0 && !waiting_since_) waiting_since_ = now;
  const std::uint32_t needed = load.busy + load.waiting;
  for (std::uint32_t i = 0; i < level_ && needed > target_ + i; ++i) last_needed_[i] = now;
  while (level_ != 0 && now - last_needed_[level_ - 1] >= terms_.stay) --level_;
  if (load.waiting == 0) return;

  std::uint32_t more = resting();  // they are ready now
  if (now - *waiting_since_ >= terms_.patience) {
    const std::uint32_t starting = count(PlaceState::kStarting);
    const std::uint32_t most = kMostStartingForOverflow;
    more = std::max(more, most - std::min(most, starting));
  }
  more = std::min({more, load.waiting, terms_.overflow - level_});
  for (; more != 0; --more) last_needed_[level_++] = now;
}

// Those that are one too many, or have a replacement. Whoever is to leave goes first.
void Fleet::empty_some(std::vector<FleetOrder>& orders) {
  const auto empty = [&](std::uint32_t index) {
    Place& place = places_[index];
    if (!place.worn) place.reason = MigrationReason::kResize;
    if (place.reason == MigrationReason::kRecycle) ++recycled_;
    place.state = PlaceState::kEmptying;
    place.is_empty = false;
    place.shrinks = is_to_shrink_;
    orders.push_back({.kind = FleetOrder::Kind::kEmpty, .place = index, .reason = place.reason});
  };
  for (std::uint32_t i = 0; i < places_.size(); ++i) {
    const Place& place = places_[i];
    const bool drained = place.worn && place.reason == MigrationReason::kDrain;
    if (drained && place.state == PlaceState::kServing) empty(i);
  }
  const std::uint32_t needed = base() + terms_.spares;
  for (std::uint32_t ready = count(PlaceState::kServing); ready > needed; --ready) {
    std::optional<std::uint32_t> chosen;
    for (std::uint32_t i = 0; i < places_.size(); ++i) {
      if (places_[i].state != PlaceState::kServing) continue;
      if (chosen && places_[*chosen].worn && !places_[i].worn) continue;
      chosen = i;  // the last one, so that the first names stay
    }
    empty(*chosen);
  }
}

void Fleet::start_and_cancel(std::vector<FleetOrder>& orders) {
  std::uint32_t live = count(PlaceState::kStarting) + count(PlaceState::kServing);
  const std::uint32_t wanted = base() + terms_.spares + replacing();
  for (; live < wanted; ++live) {
    const std::optional<std::uint32_t> index = empty_place();
    if (!index) return;
    Place& place = places_[*index];
    place = {.state = PlaceState::kStarting, .generation = place.generation + 1};
    orders.push_back({.kind = FleetOrder::Kind::kStart, .place = *index});
  }
  for (auto i = places(); i-- > 0 && live > wanted;) {
    if (places_[i].state != PlaceState::kStarting) continue;
    places_[i].state = PlaceState::kLeaving;
    --live;
    orders.push_back({.kind = FleetOrder::Kind::kEnd, .place = i});
  }
}

void Fleet::let_rest(std::vector<FleetOrder>& orders) {
  const std::uint32_t ready = count(PlaceState::kServing);
  const std::uint32_t may_rest = std::min(terms_.spares, ready > base() ? ready - base() : 0);
  std::uint32_t rest = resting();
  for (std::uint32_t i = 0; i < places_.size() && rest > may_rest; ++i) {
    if (places_[i].state != PlaceState::kServing || !places_[i].rests) continue;
    places_[i].rests = false;
    --rest;
    orders.push_back({.kind = FleetOrder::Kind::kServe, .place = i});
  }
  for (auto i = places(); i-- > 0 && rest < may_rest;) {
    if (places_[i].state != PlaceState::kServing || places_[i].rests) continue;
    places_[i].rests = true;
    ++rest;
    orders.push_back({.kind = FleetOrder::Kind::kRest, .place = i});
  }
}

void Fleet::end_some(std::vector<FleetOrder>& orders) {
  for (std::uint32_t i = 0; i < places_.size(); ++i) {
    Place& place = places_[i];
    if (place.state != PlaceState::kEmptying || !place.is_empty) continue;
    place.state = PlaceState::kLeaving;
    orders.push_back({.kind = FleetOrder::Kind::kEnd, .place = i});
  }
}

std::optional<TimePoint> Fleet::next_step() const {
  std::optional<TimePoint> next;
  const auto consider = [&next](TimePoint at) { next = next ? std::min(*next, at) : at; };
  if (level_ != 0) consider(last_needed_[level_ - 1] + terms_.stay);
  const bool may_start =
      level_ < terms_.overflow && count(PlaceState::kStarting) < kMostStartingForOverflow;
  if (waiting_since_ && may_start) consider(*waiting_since_ + terms_.patience);
  if (terms_.max_age.count() != 0) {
    for (const Place& place : places_) {
      if (place.state != PlaceState::kServing || place.worn) continue;
      consider(place.ready_at + terms_.max_age);
    }
  }
  return next;
}

// ---- what it is like now ----

PlaceState Fleet::state(std::uint32_t place) const {
  return place < places_.size() ? places_[place].state : PlaceState::kEmpty;
}

std::uint64_t Fleet::generation(std::uint32_t place) const {
  return place < places_.size() ? places_[place].generation : 0;
}

std::uint32_t Fleet::count(PlaceState state) const {
  return static_cast<std::uint32_t>(std::ranges::count(places_, state, &Place::state));
}

std::uint32_t Fleet::resting() const {
  return static_cast<std::uint32_t>(std::ranges::count_if(places_, [](const Place& place) {
    return place.state == PlaceState::kServing && place.rests;
  }));
}

std::uint32_t Fleet::most_replaced() const noexcept {
  return std::max<std::uint32_t>(1, base() / kReplacedShare);
}

std::uint32_t Fleet::most_live() const noexcept { return base() + terms_.spares + most_replaced(); }

// How many of those that are worn are being replaced, and have not begun to leave.
std::uint32_t Fleet::replacing() const {
  std::uint32_t worn = 0;
  std::uint32_t leaving = 0;
  for (const Place& place : places_) {
    if (place.state == PlaceState::kServing && place.worn) ++worn;
    const bool replaced =
        place.reason == MigrationReason::kRecycle || place.reason == MigrationReason::kEvacuate;
    if (place.state == PlaceState::kEmptying && replaced) ++leaving;
  }
  const std::uint32_t most = most_replaced();
  return std::min(worn, most - std::min(most, leaving));
}

bool Fleet::heeds_waiting() const { return level_ < terms_.overflow; }

bool Fleet::reached_target() const {
  const std::uint32_t ready = count(PlaceState::kServing);
  const std::uint32_t wanted = base() + terms_.spares + replacing();
  if (is_to_shrink_ || ready < target_ || ready + count(PlaceState::kStarting) > wanted) {
    return false;
  }
  return std::ranges::none_of(places_, [](const Place& place) {
    return place.state == PlaceState::kEmptying &&
           (place.shrinks || place.reason == MigrationReason::kResize);
  });
}

std::optional<std::uint32_t> Fleet::empty_place() {
  const auto found = std::ranges::find(places_, PlaceState::kEmpty, &Place::state);
  if (found != places_.end()) return static_cast<std::uint32_t>(found - places_.begin());
  if (places_.size() == terms_.places) return std::nullopt;
  places_.emplace_back();
  return places() - 1;
}

Fleet::Place* Fleet::find(std::uint32_t place) {
  return place < places_.size() ? &places_[place] : nullptr;
}

}  // namespace dspool::dispatch
