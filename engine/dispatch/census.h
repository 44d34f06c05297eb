// After a start: makes the sessions that the durable store has known to the session table, some at
// a time, beside the work. Until it is done, a session that the table does not know may be at rest,
// and whoever asks for it has the store asked. What is known of each is its terms; its state stays
// where it is until the session is used.
//
// A session's ttl begins anew when it is known. Until then it does not expire; so a store that
// cannot be listed is listed again, from where it failed, for as long as the engine runs.
//
// Threads: `step` belongs to one, all else to any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dspool/error.h"
#include "engine/session/session.h"
#include "engine/session/tombstones.h"
#include "engine/store/durable_store.h"
#include "engine/telemetry/log.h"

namespace dspool::dispatch {

class Census {
 public:
  static constexpr std::chrono::milliseconds kFirstRetry{100};
  static constexpr std::chrono::milliseconds kLongestRetry{60'000};

  // `known`: sessions that the table has been given. Their ttl is to begin.
  using Known = std::function<void(std::span<const session::SessionRef>)>;

  Census(store::DurableStore& durable, session::SessionTable& sessions,
         session::Tombstones& tombstones, telemetry::Log& log, Known known)
      : durable_(durable),
        sessions_(sessions),
        tombstones_(tombstones),
        log_(log),
        known_(std::move(known)) {}

  [[nodiscard]] bool is_done() const noexcept { return done_.load(std::memory_order_acquire); }
  // When to take the next step, from now on; nothing: it is done.
  std::optional<std::chrono::milliseconds> step();
  // Ids in the store, as SessionTable::list gives those in the table.
  [[nodiscard]] Result<std::vector<std::string>> list(std::string_view after, std::size_t limit,
                                                      std::string_view prefix) const;

 private:
  Result<bool> step_tombstones();
  Result<bool> step_sessions();
  void know_set_aside();

  store::DurableStore& durable_;
  session::SessionTable& sessions_;
  session::Tombstones& tombstones_;
  telemetry::Log& log_;
  const Known known_;
  bool has_tombstones_ = false;
  std::string after_;
  std::size_t found_ = 0;
  std::chrono::milliseconds retry_ = kFirstRetry;
  std::atomic<bool> done_ = false;
};

}  // namespace dspool::dispatch
