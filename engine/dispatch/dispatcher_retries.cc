// Retries: whether a call is tried again after an attempt that did not commit, and when.
//
// A call that backs off stays at the head of its session's queue: nobody overtakes it there, and it
// holds no slot. When its pause is over it waits for a slot ahead of all others.
#include <algorithm>
#include <utility>

#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/errors.h"

namespace dspool::dispatch {

// Lets the attempt's call be tried again; false: it ends with `error`, which says why if it might
// have been.
bool Dispatcher::retry(Attempt& attempt, Error& error, TimePoint now) {
  Call& call = *attempt.call;
  if (!may_repeat(call, error)) return false;
  std::chrono::nanoseconds pause =
      resilience::draw_pause(call.pauses, call.attempts, limits_.retry, random_);
  // Who asked for patience gets it, without jitter: what comes earlier is refused again.
  if (error.retry_after) pause = std::max<std::chrono::nanoseconds>(pause, *error.retry_after);
  if (now + pause >= call.deadline) return false;
  if (!retry_budget_.try_take(now)) {
    ports_.metrics.retries_over_budget.add(1);
    error.message += errors::kOverBudget;
    return false;
  }
  ports_.metrics.retries.add(1);
  attempt.call = nullptr;
  call.request_id = 0;
  ++waiting_calls_;
  back_off(*attempt.session, pause, now);
  return true;
}

// What a breaker has opened for is not tried again: the others of its kind are being refused.
bool Dispatcher::may_repeat(const Call& call, const Error& error) const noexcept {
  if (!limits_.retry.enabled || stopping_) return false;
  if (!error.retryable || call.attempts > call.max_retries) return false;
  if (!breakers_.pool().breaker.is_closed()) return false;
  return error.provider.empty() || call.provider == nullptr || call.provider->breaker.is_closed();
}

void Dispatcher::back_off(session::Session& session, std::chrono::nanoseconds pause,
                          TimePoint now) {
  if (pause == std::chrono::nanoseconds(0)) return wait(session, true, now);
  Call& call = static_cast<Call&>(session.queue.front());
  session.phase = session::Phase::kWaiting;
  call.again_at = now + pause;
  waiting_.set_aside(session);
  arm(call.timer, call.again_at);
}

// REQUIRES: the session backs off.
void Dispatcher::come_back(session::Session& session, TimePoint now) {
  Call& call = static_cast<Call&>(session.queue.front());
  if (now < call.again_at) return arm(call.timer, call.again_at);
  waiting_.remove(session);
  wait(session, true, now);
}

}  // namespace dspool::dispatch
