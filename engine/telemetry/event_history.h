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
  // The same with a detail that is a literal, and so needs no copy.
  template <std::size_t kSize, typename Fill>
  void record_fixed(std::string_view session, const char (&detail)[kSize], Fill&& fill);

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
      while (taken_.exchange(true, std::memory_order_acquire))
        [[unlikely]] std::this_thread::yield();
    }
    void unlock() noexcept { taken_.store(false, std::memory_order_release); }

   private:
    std::atomic<bool> taken_ = false;
  };

  static constexpr std::size_t kShortBytes = 64;  // of both texts together

  // An event, with those that followed from it. Its texts, the session's name and then the detail,
  // stand in `text`, or where that is too short in `long_text`; a fixed detail only where it is.
  struct Entry {
    EventFacts facts;
    const char* fixed_detail = nullptr;
    std::array<char, kShortBytes> text;
    std::string long_text;

    // Oldest first.
    void append_to(std::vector<Event>& events) const;
  };

  static void copy(std::string_view from, char* to) noexcept;
  [[nodiscard]] static std::uint64_t version_after(const EventFacts& facts) noexcept {
    return facts.version + ((facts.followers & kCommitted) != 0 ? 1 : 0);
  }
  // The next entry, whose facts `fill` has set. REQUIRES of the rest: lock_.
  template <typename Fill>
  Entry& add(std::string_view session, Fill&& fill);
  // Of the last entry, if it is of this kind and moment.
  [[nodiscard]] EventFacts* find_last(EventKind kind, const EventFacts& follower) noexcept;
  void make_room();

  const std::size_t capacity_;
  mutable Lock lock_;        // guards what follows
  std::vector<Entry> ring_;  // grows up to capacity_
  Entry* next_ = nullptr;    // behind the last entry
  Entry* end_ = nullptr;     // of the ring
  bool is_full_ = false;     // its entries beyond next_ are the oldest
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

// All inlined, so that facts go from where they are to where they belong.
template <typename Fill>
[[gnu::always_inline]] inline EventHistory::Entry& EventHistory::add(std::string_view session,
                                                                     Fill&& fill) {
  if (next_ == end_) [[unlikely]]
    make_room();
  Entry& entry = *next_++;
  fill(entry.facts);
  entry.facts.session_bytes = static_cast<std::uint8_t>(session.size());
  ++recorded_;
  return entry;
}

template <typename Fill>
[[gnu::always_inline]] inline void EventHistory::record(std::string_view session,
                                                        std::string_view detail, Fill&& fill) {
  const std::lock_guard lock(lock_);
  Entry& entry = add(session, fill);
  entry.facts.detail_bytes = static_cast<std::uint32_t>(detail.size());
  entry.fixed_detail = nullptr;
  char* to = entry.text.data();
  if (session.size() + detail.size() > kShortBytes) [[unlikely]] {
    entry.long_text.resize(session.size() + detail.size());
    to = entry.long_text.data();
  }
  copy(session, to);
  copy(detail, to + session.size());
}

template <std::size_t kSize, typename Fill>
[[gnu::always_inline]] inline void EventHistory::record_fixed(std::string_view session,
                                                              const char (&detail)[kSize],
                                                              Fill&& fill) {
  const std::lock_guard lock(lock_);
  Entry& entry = add(session, fill);
  entry.facts.detail_bytes = kSize - 1;
  entry.fixed_detail = detail;
  char* to = entry.text.data();
  if (session.size() > kShortBytes) [[unlikely]] {
    entry.long_text.resize(session.size());
    to = entry.long_text.data();
  }
  copy(session, to);
}

[[gnu::always_inline]] inline EventFacts* EventHistory::find_last(
    EventKind kind, const EventFacts& follower) noexcept {
  if (next_ == nullptr) [[unlikely]]
    return nullptr;
  EventFacts& last = next_[-1].facts;
  const bool is_it =
      last.call == follower.call && last.time_ns == follower.time_ns && last.kind == kind;
  return is_it ? &last : nullptr;
}

[[gnu::always_inline]] inline bool EventHistory::follow_by_sent(const EventFacts& sent) noexcept {
  const std::lock_guard lock(lock_);
  EventFacts* const arrived = find_last(EventKind::kCallArrived, sent);
  if (arrived == nullptr || arrived->followers != 0 || arrived->version != sent.version) {
    return false;
  }
  arrived->followers = kSent;
  arrived->request = sent.request;
  arrived->attempt = sent.attempt;
  arrived->worker = sent.worker;
  arrived->epoch = sent.epoch;
  ++recorded_;
  return true;
}

[[gnu::always_inline]] inline bool EventHistory::follow_by_commit(
    const EventFacts& commit) noexcept {
  const std::lock_guard lock(lock_);
  EventFacts* const ended = find_last(EventKind::kAttemptEnded, commit);
  if (ended == nullptr || ended->followers != 0 || ended->request != commit.request ||
      ended->version + 1 != commit.version) {
    return false;
  }
  ended->followers = kCommitted;
  ++recorded_;
  return true;
}

[[gnu::always_inline]] inline bool EventHistory::follow_by_end(const EventFacts& ended) noexcept {
  const std::lock_guard lock(lock_);
  EventFacts* const attempt = find_last(EventKind::kAttemptEnded, ended);
  if (attempt == nullptr || (attempt->followers & kEnded) != 0 ||
      version_after(*attempt) != ended.version) {
    return false;
  }
  attempt->followers |= kEnded;
  ++recorded_;
  return true;
}

}  // namespace dspool::telemetry
