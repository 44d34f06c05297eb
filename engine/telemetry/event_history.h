// The engine's record of its last `capacity` events: a ring that overwrites the oldest.
//
// What always comes together takes one entry: an attempt that is sent as its call arrives lies with
// the arrival, a commit and the end of its call with the end of their attempt. snapshot() tells
// them apart again, as the events that they were.
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
  std::uint8_t followers = 0;      // set by EventHistory
  std::uint8_t session_bytes = 0;  // of the texts, likewise
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

  // Record what follows from the event recorded last, at the same moment, where it does, for a
  // fraction of what record() takes. false: it does not, and is still to be recorded.
  // REQUIRES: enabled().
  //
  // kAttemptSent, after its call's kCallArrived.
  [[nodiscard]] bool follow_by_sent(const EventFacts& sent) noexcept;
  // kCommit, after its attempt's kAttemptEnded.
  [[nodiscard]] bool follow_by_commit(const EventFacts& commit) noexcept;
  // kCallEnded "ok", after its attempt's kAttemptEnded or what followed that.
  [[nodiscard]] bool follow_by_end(const EventFacts& ended) noexcept;

  [[nodiscard]] History snapshot() const;

 private:
  // Bits of EventFacts::followers.
  enum Follower : std::uint8_t { kSent = 1, kCommitted = 2, kEnded = 4 };

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

  // An event, with those that followed from it. Its texts, the session's name and then the detail,
  // stand in `text`, or where that is too short in `long_text`.
  struct Entry {
    EventFacts facts;
    std::array<char, kShortBytes> text;
    std::string long_text;

    // Oldest first.
    void append_to(std::vector<Event>& events) const;
  };

  static void copy(std::string_view from, char* to) noexcept;
  [[nodiscard]] static std::uint64_t version_after(const EventFacts& facts) noexcept {
    return facts.version + ((facts.followers & kCommitted) != 0 ? 1 : 0);
  }

  const std::size_t capacity_;
  mutable Lock lock_;        // guards what follows
  std::vector<Entry> ring_;  // grows up to capacity_
  std::size_t next_ = 0;     // the place of the next entry
  Entry* last_ = nullptr;    // null: none
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
  if (ring_.size() <= next_) [[unlikely]]
    ring_.emplace_back();
  Entry& entry = ring_[next_];
  last_ = &entry;
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

[[gnu::always_inline]] inline bool EventHistory::follow_by_sent(const EventFacts& sent) noexcept {
  const std::lock_guard lock(lock_);
  if (last_ == nullptr) return false;
  EventFacts& facts = last_->facts;
  if (facts.call != sent.call || facts.kind != EventKind::kCallArrived || facts.followers != 0 ||
      facts.version != sent.version || facts.time_ns != sent.time_ns) {
    return false;
  }
  facts.followers = kSent;
  facts.request = sent.request;
  facts.attempt = sent.attempt;
  facts.worker = sent.worker;
  facts.epoch = sent.epoch;
  ++recorded_;
  return true;
}

[[gnu::always_inline]] inline bool EventHistory::follow_by_commit(
    const EventFacts& commit) noexcept {
  const std::lock_guard lock(lock_);
  if (last_ == nullptr) return false;
  EventFacts& facts = last_->facts;
  if (facts.request != commit.request || facts.kind != EventKind::kAttemptEnded ||
      facts.followers != 0 || facts.call != commit.call || facts.version + 1 != commit.version ||
      facts.time_ns != commit.time_ns) {
    return false;
  }
  facts.followers = kCommitted;
  ++recorded_;
  return true;
}

[[gnu::always_inline]] inline bool EventHistory::follow_by_end(const EventFacts& ended) noexcept {
  const std::lock_guard lock(lock_);
  if (last_ == nullptr) return false;
  EventFacts& facts = last_->facts;
  if (facts.call != ended.call || facts.kind != EventKind::kAttemptEnded ||
      (facts.followers & kEnded) != 0 || version_after(facts) != ended.version ||
      facts.time_ns != ended.time_ns) {
    return false;
  }
  facts.followers |= kEnded;
  ++recorded_;
  return true;
}

}  // namespace dspool::telemetry
