// L3: where sessions are kept that shall outlive the engine, and those for which shared memory has
// no room. A session is kept as its terms and as a log of records (stored_record.h): whoever reads
// them in their order has its state.
//
// Blocking; the dispatcher reaches it through threads of their own (dispatch/archive.h).
// Thread-safe: `write` and `recover` are called by one thread at a time, everything else by any.
//
// Whoever writes owns the store under an epoch. Each new owner gets a higher one, and from then on
// the writes of those before it are refused, so that an engine that was given up for dead, and is
// not, can change nothing. A replicated store can stand behind these lines.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/error.h"

namespace dspool::store {

using OwnerEpoch = std::uint64_t;

// What a session is besides its state.
struct StoredTerms {
  std::chrono::milliseconds ttl{0};
  std::chrono::system_clock::time_point created;
};

struct Write {
  enum class Kind : std::uint8_t {
    kBegin,    // the session exists, with `terms`, no state yet, and no tombstone
    kAppend,   // `records` come after those that are there
    kReplace,  // `records` are all there is from now on
    kPark,     // the same of a `memory` session, which has no terms: gone at the next `own`
    kRemove,   // the session is gone, parked or not
    kExpire,   // the same, and it has a tombstone
  };
  Kind kind = Kind::kAppend;
  std::string_view session;
  std::span<const std::byte> records;
  const StoredTerms* terms = nullptr;  // of kBegin
};

enum class Sync : std::uint8_t {
  kYes,  // returns when power may be lost
  kNo,   // in time
};

struct StoredSession {
  std::optional<StoredTerms> terms;  // nothing: a parked session
  std::string log;
};

class DurableStore {
 public:
  DurableStore() = default;
  DurableStore(const DurableStore&) = delete;
  DurableStore& operator=(const DurableStore&) = delete;
  virtual ~DurableStore() = default;

  // Makes the caller the owner, drops parked sessions and tombstones that are too old.
  virtual Result<OwnerEpoch> own() = 0;

  // All of `writes`, in their order, or none. Errors: "stale_owner": none; "store_failed": none, or
  // all of them, or all at the next start: nobody knows before `recover` has returned.
  virtual Result<void> write(OwnerEpoch owner, std::span<const Write> writes, Sync sync) = 0;
  // After a failed write: tries to bring the store back. Once it has succeeded, what can be read is
  // what there is, now and after every restart.
  virtual Result<void> recover() = 0;

  // Nothing: no such session. Errors: "session_corrupted": it cannot be read; "store_failed".
  virtual Result<std::optional<StoredSession>> read(std::string_view id) = 0;
  // Moves what is there of a session that cannot be read out of the way. Until it is begun anew or
  // removed, whoever reads it is told that it is corrupted.
  virtual Result<void> set_aside(OwnerEpoch owner, std::string_view id) = 0;
  virtual std::vector<std::string> list_set_aside() = 0;
  // When it expired, by the system's clock; nothing: it did not, or long ago.
  virtual std::optional<std::chrono::system_clock::time_point> expired(std::string_view id) = 0;

  struct Listed {
    std::string id;
    StoredTerms terms;
  };
  // Sessions with terms whose ids begin with `prefix`, in the order of their ids, from after
  // `after` on, at most `limit`. Reads nothing of their logs.
  virtual Result<std::vector<Listed>> list(std::string_view after, std::size_t limit,
                                           std::string_view prefix) = 0;
  struct Tombstone {
    std::string id;
    std::chrono::system_clock::time_point expired;
  };
  virtual Result<std::vector<Tombstone>> list_expired(std::string_view after,
                                                      std::size_t limit) = 0;

  // A copy of all that was written so far, that can be opened as a store; `to` must not exist.
  virtual Result<void> backup(const std::filesystem::path& to) = 0;
};

}  // namespace dspool::store
