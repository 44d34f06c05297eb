// How the dispatcher reaches workers and callers. The engine's transport is made of channels; a
// simulation's is a heap of events.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/dispatch/call.h"
#include "engine/worker/request.h"

namespace dspool::dispatch {

using worker::Outcome;
using worker::OutcomeStatus;
using worker::Request;
using worker::Sent;

class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  virtual Sent send(std::uint32_t worker, const Request& request) = 0;
  // Tells the worker that nobody waits for an attempt any more.
  virtual void cancel(std::uint32_t worker, std::uint64_t request_id) = 0;
  // Of the requests that this worker was sent in its epoch, in their order: how many it has begun;
  // or all, where that cannot be told.
  virtual std::uint64_t begun(std::uint32_t worker) = 0;
  // The same, after all others were taken back: it will not begin them. Of one that it had begun to
  // take it may say that it was recalled, although it counts among those.
  virtual std::uint64_t recall(std::uint32_t worker) = 0;
  // Kills the worker, which is stuck; its loss is reported as an event of its own.
  virtual void kill(std::uint32_t worker, std::string_view why) = 0;
};

class CallListener {
 public:
  CallListener() = default;
  CallListener(const CallListener&) = delete;
  CallListener& operator=(const CallListener&) = delete;
  virtual ~CallListener() = default;

  // Told within the step that ends it; `call` is its owner's again.
  virtual void ended(Call& call) = 0;
  // The turn of a call that reads fields has come; told within the step. Whoever made the call
  // reads, outside of any step, and tells by `Dispatcher::has_read`; until then the call ends in no
  // other way, and nothing changes the session's record.
  virtual void turn_came(Call& call) = 0;
  // A chunk of the call's attempt has come, which is taken off its window once `chunks_consumed` is
  // told of it.
  virtual void chunk_came(Call& call, Chunk chunk) = 0;
  // A free slot and a waiting session may have met: `Dispatcher::hand_off` is due.
  virtual void hand_off_due() = 0;
  // Little room is left in the state segment: `Dispatcher::make_room` is due.
  virtual void room_due() = 0;
  // A worker has come or gone, is empty after it was drained, has answered enough, or a session
  // waits (`Dispatcher::watch_waiting`): whoever keeps the fleet should look.
  virtual void fleet_due() {}
  // A worker has come or gone, or takes work or takes none from now on, or something has become of
  // a circuit breaker: whoever tells of health should look.
  virtual void health_changed() {}
};

}  // namespace dspool::dispatch
