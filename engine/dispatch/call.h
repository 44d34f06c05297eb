// One request of a caller, from its admission to its one end.
//
// A call and its attempts have separate lives. The call ends by its deadline whatever happens; an
// attempt that was sent keeps its session and its slot until the worker has answered or died, and
// finds out then that its call is gone.
//
// Whoever makes a Call owns it and keeps it (and what it points to) alive until it has ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "dspool/call.h"
#include "engine/resilience/backoff.h"
#include "engine/resilience/breakers.h"
#include "engine/session/session.h"
#include "engine/session/timer_wheel.h"
#include "engine/worker/request.h"
#include "ipc/chunk_window.h"

namespace dspool::dispatch {

using session::TimePoint;
using session::Timer;

struct Errand;

struct SessionTerms {
  std::chrono::milliseconds ttl{0};
  Durability durability = Durability::kMemory;
  std::chrono::system_clock::time_point created{};
};

// What a kMove asks for, and what came of it. It moves nothing where the session is not (or no
// longer) as it asks.
struct Move {
  std::uint32_t to = 0;
  session::WarmAt from{};  // epoch 0: wherever it is warm
  // Set when it ends:
  bool has_moved = false;
  std::optional<std::uint32_t> was_at{};  // where it was warm before
};

enum class CallKind : std::uint8_t {
  kExecute,  // a command, executed by a worker
  // These take their turns in the session's queue and are executed by the engine.
  kEndSession,
  kReplaceSession,  // begins it anew, on `terms`
  kVisit,         // finds out whether there is such a session, and makes it durable if it should be
  kReadFields,    // `keys`, or all; the engine lends it the session, and its owner reads
  kUpdateFields,  // `update`, if the version is `if_version`
  kSetModel,      // `model` becomes the session's language model
  kMove,          // brings the fields to a worker (`move`); no use of the session, and not counted
};

// Kinds of Timer that dispatch arms.
inline constexpr std::uint8_t kCallTimer = 0;     // subject: Call
inline constexpr std::uint8_t kAttemptTimer = 1;  // subject: Attempt
inline constexpr std::uint8_t kWorkerTimer = 2;   // subject: WorkerSlot
// A Session's own, on a wheel of its own, is session::kExpiryTimer.

struct Call : session::QueueEntry {
  // ---- set by the owner before it arrives ----
  CallKind kind = CallKind::kExecute;
  session::SessionRef session;
  std::string_view command;
  const Value* args = nullptr;
  TimePoint deadline;
  std::uint32_t max_retries = 0;
  resilience::Pauses pauses;  // before these
  bool creates_session = true;
  std::string_view idempotency_key;
  session::Fingerprint asked;  // with a key: what the call asks for, to tell it from others
  SessionTerms terms;          // kReplaceSession, and kVisit where that makes one
  std::span<const std::string> keys;
  bool all_keys = false;
  session::Delta* update = nullptr;
  std::optional<std::uint64_t> if_version;
  const LanguageModel* model = nullptr;  // kSetModel: it was resolved; null: the pool's
  Move move;                             // kMove
  worker::PayloadRef long_args;          // set where the arguments are too long to travel inline
  ipc::ChunkWindow* window = nullptr;    // where somebody listens to chunks; the dispatcher's

  // ---- the dispatcher's, from arrival to end ----
  std::uint64_t id = 0;
  TimePoint arrived;
  std::uint32_t attempts = 0;
  Usage usage;                    // of all of these
  Timer timer{kCallTimer, this};  // the nearest of its deadline and what its wait is bounded by
  TimePoint waits_since;          // for a slot
  bool must_be_alone = false;     // on its worker: one that had begun it has died
  bool goes_ahead = false;        // of all that wait: so its wait says nothing of theirs
  TimePoint patient_until;        // with a worker that its session expects
  TimePoint again_at;             // where its session backs off: when that is over
  std::uint64_t request_id = 0;   // of the attempt that runs for it; 0: none
  std::uint32_t worker = 0;       // where that attempt runs
  Errand* errand = nullptr;    // on the durable store that it waits for, out of its queue by then
  bool found_session = false;  // kVisit: there was one before
  resilience::Permit permit;   // of the pool's breaker
  resilience::ProviderBreaker* provider = nullptr;  // that it asks, as far as is known
  resilience::Permit provider_permit;

  // ---- the owner's again, once it has ended ----
  std::optional<Result<Answer>> result;
  Call* next_told = nullptr;
};

[[nodiscard]] session::Fingerprint fingerprint_of(const Call& call);

}  // namespace dspool::dispatch
