// How the dispatcher reaches the durable store: it starts an errand and goes on; what came of it is
// an event of its own (`Dispatcher::archived`). A session has at most one errand under way, and
// while it has, nobody changes its record: whoever runs the errand may read it without a lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dspool/error.h"
#include "engine/dispatch/call.h"
#include "engine/session/model_reference.h"
#include "engine/session/record.h"
#include "engine/session/session.h"
#include "engine/store/durable_store.h"

namespace dspool::dispatch {

struct Errand {
  enum class Kind : std::uint8_t {
    kLoad,    // brings the session's state back
    kBegin,   // the session exists, without state
    kCommit,  // its next version, or an answer to remember, or both
    kPark,    // writes its state to where it survives nothing, so that its memory can be used
    kRemove,  // the session is gone
    kExpire,  // it is gone, and that is remembered
  };
  enum class End : std::uint8_t {
    kDone,
    kNot,        // and will not be
    kUnknown,    // the errand goes on, and comes to one of the others
    kAbsent,     // kLoad: there is no such session
    kExpired,    // kLoad: there was one
    kCorrupted,  // kLoad: it cannot be read
    kNoMemory,   // kLoad: there is no room for its state
  };

  Kind kind = Kind::kLoad;
  session::SessionRef session;
  Call* call = nullptr;  // that waits for it; null: nobody, or not any more

  // ---- of kBegin, kRemove ----
  std::optional<SessionTerms> anew;  // the session that was there ends, and one on these begins

  // ---- of kCommit ----
  std::uint64_t call_id = 0;
  std::uint64_t request_id = 0;  // 0: the engine's own change
  std::vector<std::byte> bytes;  // what `delta` looks into
  session::Delta delta;          // empty: only `answer` is to be remembered
  session::Staged staged;
  std::optional<session::StoredAnswer> answer;
  std::vector<std::uint8_t> result;
  std::uint64_t state_id = 0;
  session::WarmAt warm;
  bool starves = false;     // it waits for memory
  bool durable = true;      // otherwise it only waits for memory
  bool begins = false;      // the store does not know the session yet
  bool snapshots = false;   // the log has grown long: all that was before goes in with it, anew
  bool sets_model = false;  // to this, which was taken for the session; 0: the pool's
  std::uint32_t model_number = 0;

  // The language model of the session's own that a kPark writes, and a kCommit that sets it or
  // snapshots; that it has after it. Of a kLoad, what it had.
  std::optional<session::ModelReference> model;

  // ---- of kLoad ----
  std::optional<store::StoredTerms> terms;  // nothing: it was parked
  session::Record record;
  std::unique_ptr<session::StoredAnswers> answers;
  std::uint64_t operations = 0;

  std::uint64_t rooms_seen = 0;  // when there was none for it: Dispatcher::rooms_made_

  [[nodiscard]] bool changes_session() const noexcept { return sets_model || !delta.empty(); }

  // ---- what came of it ----
  End end = End::kDone;
  Error error;                // where it was not done
  std::size_t log_bytes = 0;  // written, or read
};

class Archive {
 public:
  Archive() = default;
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;
  virtual ~Archive() = default;

  // Never blocks. Errands of one session are started one after the other.
  virtual void start(std::unique_ptr<Errand> errand) = 0;
};

}  // namespace dspool::dispatch
