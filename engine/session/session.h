// One session: its name, its state, the queue of its calls and where its fields are warm.
//
// Everything but the reference count is guarded by whoever steps the dispatcher. A Session lives
// while somebody holds a SessionRef: the table, a call, an attempt.
//
// Phases:  kIdle -> kWaiting -> kRunning -> kArchived, kWaiting or kIdle; kArchived also from
//          kIdle, and from there to all but kRunning; kIdle -> kRead -> kIdle; kGone once it was
//          ended: it is in no table any more, and a caller that still held it looks its name up
//          again.
#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include "dspool/error.h"
#include "dspool/session.h"
#include "engine/session/hot_allocator.h"
#include "engine/session/intrusive_ptr.h"
#include "engine/session/record.h"
#include "engine/session/session_table.h"
#include "engine/session/stored_answers.h"
#include "engine/session/stored_id.h"
#include "engine/session/suspicion.h"
#include "engine/session/timer_wheel.h"

namespace dspool::session {

// What stands in a session's queue; a call derives from it.
struct QueueEntry : boost::intrusive::list_base_hook<> {};
using CallQueue = boost::intrusive::list<QueueEntry, boost::intrusive::constant_time_size<true>>;

enum class Phase : std::uint8_t {
  kIdle,
  kWaiting,   // its head call waits for a slot, in dispatch::WaitingList
  kRunning,   // an attempt has one
  kArchived,  // an errand on the durable store is under way
  kRead,      // a caller reads its record, without a lock
  kGone,
};

// Where its fields are.
enum class Tier : std::uint8_t {
  kShared,     // in the state segment
  kAtRest,     // in the durable store alone
  kUnknown,    // in the durable store, if there is such a session at all
  kCorrupted,  // nowhere: what the store has cannot be read
};

inline constexpr std::uint8_t kExpiryTimer = 2;
inline constexpr std::uint32_t kNoWorker = UINT32_MAX;
inline constexpr std::uint32_t kBacksOff = UINT32_MAX - 1;  // nobody may take it yet
inline constexpr std::uint32_t kAnyAlone = UINT32_MAX - 2;  // whichever can be had for it alone

// A worker slot and the epoch in which it got the fields.
struct WarmAt {
  std::uint32_t worker = 0;
  std::uint64_t epoch = 0;  // 0: warm nowhere

  friend bool operator==(const WarmAt&, const WarmAt&) = default;
};

class alignas(64) Session {  // what every finder touches lies in its first cache line
 public:
  Session(std::string_view name, TimePoint now, std::chrono::milliseconds time_to_live)
      : id_(name), ttl(time_to_live), used(now) {}

  // Empty for the temporary session of an anonymous call, which no table knows.
  [[nodiscard]] std::string_view id() const noexcept { return id_.view(); }
  [[nodiscard]] bool anonymous() const noexcept { return id().empty(); }

 private:
  friend void intrusive_retain(Session* session) noexcept;
  friend void intrusive_release(Session* session) noexcept;

  std::atomic<std::uint32_t> references_{0};
  StoredId id_;

 public:
  Phase phase = Phase::kIdle;
  Durability durability = Durability::kMemory;
  Tier tier = Tier::kShared;
  bool was_used : 1 = false;  // a call was admitted, or it was named in create or touch
  bool exists : 1 = false;    // a call made it, or it was created, or found in the durable store
  bool stored : 1 = false;    // the durable store has it, at its last version
  bool parked : 1 = false;    // the durable store has what its state was once
  Record record;
  CallQueue queue;  // its front is the call that waits or runs
  WarmAt warm;      // Dispatcher::set_warm
  // kWaiting: the worker that alone may take it, kBacksOff or kAnyAlone.
  std::uint32_t expects = kNoWorker;
  std::uint32_t model = 0;  // its own, of dispatch::LanguageModels; 0: the pool's
  std::uint64_t operations = 0;
  std::unique_ptr<StoredAnswers> answers;  // null: no call had an idempotency key
  std::chrono::milliseconds ttl;           // after `used`; 0: it does not expire
  std::chrono::system_clock::time_point created;
  TimePoint used;                        // a call arrived, or was answered
  TimePoint visited;                     // Residents looked at it
  std::int64_t log_excess_bytes = 0;     // its log in the durable store, less twice its snapshot
  std::unique_ptr<Error> corruption;     // why it is kCorrupted
  std::unique_ptr<Suspicion> suspicion;  // null: none
  Timer expiry{kExpiryTimer, this};
  boost::intrusive::list_member_hook<> waiting_hook;
  boost::intrusive::list_member_hook<> resident_hook;
  SessionIndexHook index_hook;
};

using SessionRef = IntrusivePtr<Session>;
using SessionTable = BasicSessionTable<Session>;

// A Session that no table knows yet.
SessionRef make_session(std::string_view id, TimePoint now,
                        std::chrono::milliseconds ttl = std::chrono::milliseconds(0));

inline void intrusive_retain(Session* session) noexcept {
  session->references_.fetch_add(1, std::memory_order_relaxed);
}
void intrusive_release(Session* session) noexcept;

}  // namespace dspool::session
