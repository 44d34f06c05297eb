#include "engine/dispatch/gate.h"

#include <cassert>
#include <utility>

#include "engine/worker/model_message.h"
#include "ipc/planted_bug.h"

namespace dspool::dispatch {
namespace {

constexpr unsigned kPublicIndexBits = 24;
constexpr std::uint64_t kPublicIndexMask = (std::uint64_t{1} << kPublicIndexBits) - 1;

}  // namespace

Gate::Gate(const Limits& limits, const Parts& parts, std::span<const std::string> worker_names,
           std::uint64_t seed, Executor executor)
    : parts_(parts),
      executor_(std::move(executor)),
      links_(worker_names.size()),
      dispatcher_(limits,
                  {.transport = *this,
                   .store = parts.store,
                   .archive = parts.archive,
                   .listener = *this,
                   .sessions = parts.sessions,
                   .tombstones = parts.tombstones,
                   .metrics = parts.metrics,
                   .history = parts.history},
                  worker_names, seed, now()) {
  assert(limits.max_in_flight + limits.pipeline <= ipc::kMostPlaces);  // each has its word
}

// ---- callers ----

Gate::Admission Gate::arrive(BlockingCall& call) {
  Admission admission;
  step([&](Dispatcher& dispatcher, TimePoint now) {
    if (!dispatcher.arrive(call, now)) {
      admission.gone = true;
      return;
    }
    if (call.result) return;
    if (call.request_id != 0 && dispatcher.worker(call.worker).in_flight() == 1) {
      const auto& link = links_[call.worker];
      if (!link->channel().try_take_token()) return;
      link->channel().announce(ipc::Receiver::kNobody);  // or the answer would ring the reactor
      admission.to_read = link;
      admission.crowded = crowded();
      call.is_in_crowd = true;
      ++crowd_;
    }
  });
  return admission;
}

bool Gate::arrive(SubmittedCall& call, std::uint64_t& public_id) {
  bool admitted = false;
  step([&](Dispatcher& dispatcher, TimePoint now) {
    if (free_submitted_.empty()) {
      free_submitted_.push_back(static_cast<std::uint32_t>(submitted_.size()));
      submitted_.push_back(nullptr);
    }
    const std::uint32_t index = free_submitted_.back();
    call.public_id = ++submissions_ << kPublicIndexBits | index;
    submitted_[index] = &call;
    free_submitted_.pop_back();
    public_id = call.public_id;
    admitted = dispatcher.arrive(call, now);
    if (!admitted) {
      submitted_[index] = nullptr;
      free_submitted_.push_back(index);
    }
  });
  return admitted;
}

bool Gate::cancel(std::uint64_t public_id, std::string cause) {
  bool cancelled = false;
  step([&](Dispatcher& dispatcher, TimePoint now) {
    const std::uint64_t index = public_id & kPublicIndexMask;
    if (index >= submitted_.size() || submitted_[index] == nullptr) return;
    SubmittedCall& call = *submitted_[index];
    if (call.public_id != public_id) return;
    dispatcher.cancel(call, now, std::move(cause));
    cancelled = true;
  });
  return cancelled;
}

void Gate::finish_reading(BlockingCall& call, Result<Value> fields) {
  step([&](Dispatcher& dispatcher, TimePoint now) {
    dispatcher.has_read(call, std::move(fields), now);
  });
  const std::lock_guard lock(mutex_);  // so that whoever waits comes after the last use of this
  if (--readers_ == 0) nobody_reads_.notify_all();
}

void Gate::wait_for_readers() {
  std::unique_lock lock(mutex_);
  nobody_reads_.wait(lock, [this] { return readers_ == 0; });
}

bool Gate::runs_on(const Call& call, std::uint32_t worker) const {
  const std::lock_guard lock(mutex_);
  return call.request_id != 0 && call.worker == worker &&
         dispatcher_.worker(worker).is_ahead_of_all(call.request_id);
}

void Gate::leave_crowd(BlockingCall& call) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(call.is_in_crowd, false)) --crowd_;
}

void Gate::complete(Completion done, Result<Answer> result) {
  auto call = std::make_unique<SubmittedCall>();
  call->completion = std::move(done);
  call->result.emplace(std::move(result));
  tell(*call.release());
}

// The reactor keeps time: it is woken for a timer that is due before it would wake by itself.
void Gate::watch_timers(Effects& effects) {
  const TimePoint armed = dispatcher_.take_earliest_armed();
  if (armed >= reactor_wakes_) return;
  reactor_wakes_ = armed;
  effects.wake_reactor = true;
}

// ---- what the dispatcher asks for, under the lock ----

Sent Gate::send(std::uint32_t worker, const Request& request) {
  const auto& link = links_[worker];
  if (request.model_news != nullptr) tell_model(*link, *request.model_news);
  const Sent sent = link->send(request, crowded());
  if (link->outbox().has_more()) effects_->wake_reactor = true;
  ring_later(link);
  return sent;
}

// A worker that cannot be told is gone, or so far behind that it has to be replaced.
void Gate::tell_model(worker::Link& link, const worker::ModelNews& news) {
  const auto sent = link.outbox().tell_language_model(worker::encode_model_news(news));
  if (sent) return;
  parts_.supervisor.kill(link.slot(), link.epoch(),
                         "it was not told the language model: " + sent.error().what);
}

// Whether one more caller that looks for its answer, and the worker that makes it, would share the
// cores with others that do the same. Then either side's spinning keeps somebody else from working:
// four such pairs on two cores wait for whole slices of the scheduler.
// One pair may look wherever it is: where it has one core, its yields are cheaper than sleeps.
bool Gate::crowded() const noexcept { return crowd_ != 0 && 2 * (crowd_ + 1) > cores_; }

void Gate::cancel(std::uint32_t worker, std::uint64_t request_id) {
  links_[worker]->channel().tell_cancelled(place_of(request_id));
}

std::uint64_t Gate::begun(std::uint32_t worker) {
  return links_[worker]->channel().claimed_requests();
}

std::uint64_t Gate::recall(std::uint32_t worker) { return links_[worker]->recall(); }

void Gate::kill(std::uint32_t worker, std::string_view why) {
  const auto& link = links_[worker];
  if (link) parts_.supervisor.abort(worker, link->epoch(), why);
}

void Gate::ended(Call& call) {
  auto& owned = static_cast<OwnedCall&>(call);
  if (owned.owner == OwnedCall::Owner::kSubmitted) {
    const auto index =
        static_cast<std::uint32_t>(static_cast<SubmittedCall&>(owned).public_id & kPublicIndexMask);
    submitted_[index] = nullptr;
    free_submitted_.push_back(index);
    owned.long_args.reset();  // the call may outlive the engine, and with it their memory
    const auto& stream = static_cast<SubmittedCall&>(owned).stream;
    const std::uint32_t answered_by = *call.result ? (*call.result)->attempts : 0;
    if (stream && !stream->end(answered_by)) return;  // its turn goes on to the end
  } else if (owned.owner == OwnedCall::Owner::kBlocked &&
             std::exchange(static_cast<BlockingCall&>(owned).is_in_crowd, false)) {
    --crowd_;
  }
  tell_later(call);
}

void Gate::turn_came(Call& call) {
  ++readers_;
  tell_later(call);
}

void Gate::tell_later(Call& call) noexcept {
  call.next_told = nullptr;
  Effects& effects = *effects_;
  if (effects.last_told == nullptr) {
    effects.first_told = &call;
  } else {
    effects.last_told->next_told = &call;
  }
  effects.last_told = &call;
}

void Gate::hand_off_due() {
  if (hand_off_enqueued_) return;
  hand_off_enqueued_ = true;
  effects_->hand_off = true;
}

void Gate::room_due() {
  if (room_enqueued_) return;
  room_enqueued_ = true;
  effects_->make_room = true;
}

void Gate::ring_later(const std::shared_ptr<worker::Link>& link) {
  if (!link->take_ring_due()) return;
  Effects& effects = *effects_;
  if (!effects.ring) {
    effects.ring = link;
  } else if (effects.ring != link) {
    effects.more_rings.push_back(link);
  }
}

// ---- what follows a step, without the lock ----

void Gate::carry_out(Effects& effects) {
  if (effects.ring && !ipc::has_bug_at_times("drop_doorbell", 20)) {
    effects.ring->channel().ring_worker();
  }
  for (const auto& link : effects.more_rings) link->channel().ring_worker();
  if (effects.hand_off) arena_.enqueue([this] { hand_off(); });
  if (effects.make_room) arena_.enqueue([this] { make_room(); });
  if (effects.wake_reactor) parts_.reactor.wake();
  if (effects.wake_steward) parts_.steward.wake();
  if (effects.wake_monitor) parts_.monitor.wake();
  for (Call* call = effects.first_told; call != nullptr;) {
    Call* next = call->next_told;  // the call may be gone once its owner was told
    tell(static_cast<OwnedCall&>(*call));
    call = next;
  }
}

void Gate::tell(OwnedCall& call) {
  if (call.owner == OwnedCall::Owner::kBlocked) {
    auto& done = static_cast<BlockingCall&>(call).done;
    done.store(1, std::memory_order_release);
    done.notify_one();
    return;
  }
  if (call.owner == OwnedCall::Owner::kMoved) {
    auto& move = static_cast<MoveCall&>(call);
    return move.sink->has_ended(move);
  }
  auto* submitted = &static_cast<SubmittedCall&>(call);
  if (submitted->stream) return post_turn(*submitted);
  if (ipc::has_bug_at_times("deliver_twice", 20)) submitted->completion(*submitted->result);
  if (executor_) {
    executor_([submitted] {
      submitted->completion(std::move(*submitted->result));
      delete submitted;
    });
    return;
  }
  complete_on_reactor(*submitted);
}

void Gate::complete_on_reactor(SubmittedCall& call) {
  const bool on_reactor = parts_.reactor.is_owner();
  {
    const std::lock_guard lock(completions_mutex_);
    completions_.push_back(&call);
  }
  if (!on_reactor) parts_.reactor.wake();
}

bool Gate::run_completions() {
  {
    const std::lock_guard lock(completions_mutex_);
    running_completions_.swap(completions_);
  }
  for (SubmittedCall* call : running_completions_) {
    if (call->stream) {
      take_turn(*call);
      continue;
    }
    call->completion(std::move(*call->result));
    delete call;
  }
  running_completions_.clear();
  const std::lock_guard lock(completions_mutex_);
  return !completions_.empty();
}

void Gate::hand_off() {
  bool more = true;
  while (more) {
    step([&](Dispatcher& dispatcher, TimePoint now) {
      hand_off_enqueued_ = false;
      more = dispatcher.hand_off(now);
    });
  }
}

void Gate::end_sessions() {
  bool more = true;
  while (more) {
    step([&](Dispatcher& dispatcher, TimePoint now) { more = dispatcher.end_sessions(now); });
  }
}

// A step, and the rest behind whatever else is due.
void Gate::make_room() {
  bool more = false;
  step([&](Dispatcher& dispatcher, TimePoint now) {
    room_enqueued_ = false;
    more = dispatcher.make_room(now);
    if (more) room_due();
  });
}

}  // namespace dspool::dispatch
