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

// An Event but for its texts.
struct EventFacts {
  EventKind kind{};
  std::uint8_t session_bytes = 0;  // of the texts, set by EventHistory
  std::uint32_t detail_bytes = 0;  // likewise
  std::uint32_t worker = 0;
  std::uint32_t attempt = 0;
  std::int64_t time_ns = 0;
  std::uint64_t call = 0;
  std::uint64_t request = 0;
  std::uint64_t version = 0;
  std::uint64_t epoch = 0;
};

class EventHistory {
 public:
  // Capacity 0 keeps nothing.
  explicit EventHistory(std::size_t capacity) noexcept : capacity_(capacity) {}

  [[nodiscard]] bool enabled() const noexcept { return capacity_ != 0; }
  // `fill` gets an EventFacts that it must set whole. `session` has at most SessionId::kMaxBytes.
  // Once the ring is full this allocates nothing, but for texts of more than kShortBytes.
  // REQUIRES: enabled().
  template <typename Fill>
  void record(std::string_view session, std::string_view detail, Fill&& fill);
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
    EventFacts facts;
    std::array<char, kShortBytes> text;
    std::string long_text;

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
[[gnu::always_inline]] inline void EventHistory::copy(std::string_view from, char* to) noexcept {
  const char* const begin = from.data();
  const std::size_t size = from.size();
  const auto both_ends = [&]<typename Word>(Word word) {
    std::memcpy(&word, begin, sizeof word);
    Word last{};
    std::memcpy(&last, begin + size - sizeof word, sizeof word);
    std::memcpy(to, &word, sizeof word);
    std::memcpy(to + size - sizeof word, &last, sizeof word);
  };
  if (size > 2 * sizeof(std::uint64_t)) {
    std::memcpy(to, begin, size);
  } else if (size >= sizeof(std::uint64_t)) {
    both_ends(std::uint64_t{});
  } else if (size >= sizeof(std::uint32_t)) {
    both_ends(std::uint32_t{});
  } else if (size >= sizeof(std::uint16_t)) {
    both_ends(std::uint16_t{});
  } else if (size != 0) {
    *to = *begin;
  }
}

// Inlined, so that facts go from where they are to where they belong.
template <typename Fill>
[[gnu::always_inline]] inline void EventHistory::record(std::string_view session,
                                                        std::string_view detail, Fill&& fill) {
  const std::lock_guard lock(lock_);
  if (recorded_ < capacity_) [[unlikely]]
    ring_.emplace_back();
  Entry& entry = ring_[next_];
  fill(entry.facts);
  entry.facts.session_bytes = static_cast<std::uint8_t>(session.size());
  entry.facts.detail_bytes = static_cast<std::uint32_t>(detail.size());
  char* to = entry.text.data();
  if (session.size() + detail.size() > kShortBytes) [[unlikely]] {
    entry.long_text.resize(session.size() + detail.size());
    to = entry.long_text.data();
  }
  copy(session, to);
  copy(detail, to + session.size());
  if (++next_ == capacity_) next_ = 0;
  ++recorded_;
}

}  // namespace dspool::telemetry
