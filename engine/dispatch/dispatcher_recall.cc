// What lies in a worker's ring behind a request that runs for long is taken back, and goes to other
// workers.
//
// A pipeline is for short requests: while all are, one that waits in a ring waits for less time
// than a hand-off takes. Now and then one is not. Its worker is found out by a timer, which is
// armed where requests lie behind others and costs those that do not nothing: if the worker has
// begun none between two looks, although it runs one, it is slow. Without one that runs there is
// nothing to take back, since a worker that has not come to begin any would then never get to.
//
// What has begun, and what has not, the worker says (ipc/recall.h). It gets nothing more before it
// has skipped what it will not run: until then it is still busy with what made it slow.
#include <chrono>

#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/errors.h"

namespace dspool::dispatch {
namespace {

// Many times what counts as short service, so that few who are short are taken for long; two ticks
// of the wheel.
constexpr std::chrono::milliseconds kLongService{2};

}  // namespace

// REQUIRES: more requests are there than the worker runs at once.
void Dispatcher::watch_ring(WorkerSlot& worker, TimePoint now) {
  if (worker.ring_watch.armed()) return;
  worker.begun_before = ports_.transport.begun(worker.index());
  arm(worker.ring_watch, now + kLongService);
}

void Dispatcher::ring_watch_fired(WorkerSlot& worker, TimePoint now) {
  const std::uint64_t begun = ports_.transport.begun(worker.index());
  if (begun >= worker.sent || worker.recalled() != 0 || stopping_) return;
  const bool is_slow = begun == worker.begun_before && worker.runs_one_of(begun);
  if (is_slow) recall(worker, now);
  if (worker.recalled() == 0) watch_ring(worker, now);
}

// Takes back all that the worker has not begun.
void Dispatcher::recall(WorkerSlot& worker, TimePoint now) {
  const std::uint64_t begun = ports_.transport.recall(worker.index());
  worker.recalled_to = worker.sent;
  // The last first: each goes ahead of all that wait, so that they wait in the order of before.
  for (Attempt* attempt : worker.find_behind(begun)) {
    const session::SessionRef session = attempt->session;
    if (!attempt->moves) session->used = now;
    wheel_.disarm(attempt->grace);
    take_back(*attempt, now);
    worker.set_recalled(*attempt);
    note_room(worker);
    --in_flight_;
    if (session->phase == session::Phase::kRunning) offer(*session, now);
  }
}

// The end of an attempt that did not begin, and so was none: its call waits for another.
void Dispatcher::take_back(Attempt& attempt, TimePoint now) {
  journal_.note(EventKind::kAttemptEnded, now, attempt, "recalled");
  ports_.metrics.recalls.add(1);
  Call* call = attempt.call;
  if (call == nullptr) return;
  --call->attempts;
  if (attempt.moves) {  // it never waits for its worker
    attempt.session->queue.pop_front();
    return end(*call, tl::unexpected(errors::worker_busy(names_[attempt.worker])), now);
  }
  if (!stopping_) return wait_again(attempt, now);
  attempt.call = nullptr;
  call->request_id = 0;
  ++waiting_calls_;  // until it is offered, and ended
}

}  // namespace dspool::dispatch
