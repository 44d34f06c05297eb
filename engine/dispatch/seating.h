// Which workers have room, so that one is chosen without looking at all of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

namespace dspool::dispatch {

// What a worker could take.
enum class Room : std::uint8_t {
  kIdle,  // it has nothing to do
  kSome,  // more, beside what it has
  kNone,
};

class Seating {
 public:
  // Of workers that have no room.
  explicit Seating(std::size_t workers);

  // Constant time.
  void set(std::uint32_t worker, Room room) noexcept;

  [[nodiscard]] bool any() const noexcept {
    return !of(Room::kIdle).empty() || !of(Room::kSome).empty();
  }
  // The better of two that are chosen by chance, among the idle ones, or where there is none, among
  // those that have some room; nothing: no worker has any. `is_better(a, b)` is whether worker `a`
  // should be taken rather than `b`. (Of all, the best would be known to every caller at once: a
  // herd.)
  template <typename IsBetter>
  [[nodiscard]] std::optional<std::uint32_t> better_of_two(std::minstd_rand& random,
                                                           IsBetter&& is_better) const {
    const std::vector<std::uint32_t>& from =
        of(of(Room::kIdle).empty() ? Room::kSome : Room::kIdle);
    const auto count = static_cast<std::uint32_t>(from.size());
    if (count == 0) return std::nullopt;
    const auto first = static_cast<std::uint32_t>(random()) % count;
    if (count == 1) return from[first];
    const auto further = 1 + static_cast<std::uint32_t>(random()) % (count - 1);
    const std::uint32_t a = from[first];
    const std::uint32_t b = from[(first + further) % count];
    return is_better(b, a) ? b : a;
  }

 private:
  [[nodiscard]] const std::vector<std::uint32_t>& of(Room room) const noexcept {
    return seats_[static_cast<std::size_t>(room)];
  }

  struct Place {
    Room room = Room::kNone;
    std::uint32_t position = 0;  // in the list of its room, where that is listed
  };

  std::vector<Place> places_;                        // by worker
  std::array<std::vector<std::uint32_t>, 2> seats_;  // by room: kIdle, kSome
};

}  // namespace dspool::dispatch
