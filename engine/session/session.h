// One session: its name, its state, the queue of its calls and where its fields are warm.
//
// Everything but the reference count is guarded by whoever steps the dispatcher. A Session lives
// while somebody holds a SessionRef: the table, a call, an attempt.
//
// Phases:  kIdle -> kWaiting (its head call waits for a slot) -> kRunning (an attempt has one)
//          -> kWaiting or kIdle; kGone once it was ended: it is in no table any more, and a caller
//          that still held it looks its name up again.
#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/session/hot_allocator.h"
#include "engine/session/intrusive_ptr.h"
#include "engine/session/record.h"
#include "engine/session/session_table.h"
#include "engine/session/stored_answers.h"
#include "engine/session/stored_id.h"

namespace dspool::session {

// What stands in a session's queue; a call derives from it.
struct QueueEntry : boost::intrusive::list_base_hook<> {};
using CallQueue = boost::intrusive::list<QueueEntry, boost::intrusive::constant_time_size<true>>;

enum class Phase : std::uint8_t { kIdle, kWaiting, kRunning, kGone };

// A worker slot and the epoch in which it got the fields.
struct WarmAt {
  std::uint32_t worker = 0;
  std::uint64_t epoch = 0;  // 0: warm nowhere
};

class alignas(64) Session {  // what every finder touches lies in its first cache line
 public:
  explicit Session(std::string_view name, TimePoint now) : id_(name), created(now), used(now) {}

  // Empty for the temporary session of an anonymous call, which no table knows.
  [[nodiscard]] std::string_view id() const noexcept { return id_.view(); }
  [[nodiscard]] bool anonymous() const noexcept { return id().empty(); }

 private:
  friend void intrusive_retain(Session* session) noexcept;
  friend void intrusive_release(Session* session) noexcept;

  std::atomic<std::uint32_t> references_{0};
  StoredId id_;

 public:
  Record record;
  CallQueue queue;  // its front is the call that waits or runs
  Phase phase = Phase::kIdle;
  bool was_used = false;  // a call was admitted
  WarmAt warm;
  std::uint64_t operations = 0;
  std::unique_ptr<StoredAnswers> answers;  // null: no call had an idempotency key
  TimePoint created;
  TimePoint used;
  boost::intrusive::list_member_hook<> waiting_hook;
};

using SessionRef = IntrusivePtr<Session>;
using SessionTable = BasicSessionTable<Session>;

SessionRef make_session(std::string_view id, TimePoint now);

inline void intrusive_retain(Session* session) noexcept {
  session->references_.fetch_add(1, std::memory_order_relaxed);
}
void intrusive_release(Session* session) noexcept;

}  // namespace dspool::session
