// The engine's record of its last `capacity` events: a ring that overwrites the oldest.
//
// Thread-safe. Events stand in the order in which record() was called, so what must not be told
// out of order is recorded under the lock that orders it. Whoever records meanwhile waits for a
// snapshot, which copies all there is.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "dspool/history.h"

namespace dspool::telemetry {

// An Event that looks at its texts.
struct EventView {
  EventKind kind{};
  std::int64_t time_ns = 0;
  std::uint64_t call = 0;
  std::uint64_t request = 0;
  std::uint64_t version = 0;
  std::uint64_t epoch = 0;
  std::uint32_t worker = 0;
  std::uint32_t attempt = 0;
  std::string_view session = {};
  std::string_view detail = {};
};

class EventHistory {
 public:
  // Capacity 0 keeps nothing.
  explicit EventHistory(std::size_t capacity) noexcept : capacity_(capacity) {}

  // Ask before building an EventView.
  [[nodiscard]] bool enabled() const noexcept { return capacity_ != 0; }
  // Once the ring is full this allocates nothing, but for texts of more than kShortBytes.
  void record(const EventView& event);
  [[nodiscard]] History snapshot() const;

 private:
  // Nearly always free: whoever records does so under a lock of its own.
  class Lock {
   public:
    void lock() noexcept {
      while (taken_.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
    }
    void unlock() noexcept { taken_.store(false, std::memory_order_release); }

   private:
    std::atomic<bool> taken_ = false;
  };

  static constexpr std::size_t kShortBytes = 64;  // of both texts together

  // An event whose texts, the session's name and then the detail, stand in `text`, or where that is
  // too short in `long_text`.
  struct Entry {
    EventView event;
    std::array<char, kShortBytes> text;
    std::string long_text;

    void take(const EventView& from);
    [[nodiscard]] Event to_event() const;
  };

  static void copy(std::string_view from, char* to) noexcept;

  const std::size_t capacity_;
  mutable Lock lock_;        // guards what follows
  std::vector<Entry> ring_;  // grows up to capacity_
  std::size_t next_ = 0;     // the place of the next event
  std::uint64_t recorded_ = 0;
};

// As memcpy, which takes longer to find out how short they are.
inline void EventHistory::copy(std::string_view from, char* to) noexcept {
  const std::size_t size = from.size();
  const auto both_ends = [&]<typename Word>(Word word) {
    std::memcpy(&word, from.data(), sizeof word);
    std::memcpy(to, &word, sizeof word);
    std::memcpy(&word, from.data() + size - sizeof word, sizeof word);
    std::memcpy(to + size - sizeof word, &word, sizeof word);
  };
  if (size > 2 * sizeof(std::uint64_t)) {
    std::memcpy(to, from.data(), size);
  } else if (size >= sizeof(std::uint64_t)) {
    both_ends(std::uint64_t{});
  } else if (size >= sizeof(std::uint32_t)) {
    both_ends(std::uint32_t{});
  } else {
    for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
  }
}

inline void EventHistory::Entry::take(const EventView& from) {
  event = from;
  const std::size_t size = from.session.size() + from.detail.size();
  if (size > kShortBytes) long_text.resize(size);
  char* const to = size > kShortBytes ? long_text.data() : text.data();
  copy(from.session, to);
  copy(from.detail, to + from.session.size());
}

inline void EventHistory::record(const EventView& event) {
  if (!enabled()) return;
  const std::lock_guard lock(lock_);
  if (recorded_ < capacity_) ring_.emplace_back();
  ring_[next_].take(event);
  if (++next_ == capacity_) next_ = 0;
  ++recorded_;
}

}  // namespace dspool::telemetry
