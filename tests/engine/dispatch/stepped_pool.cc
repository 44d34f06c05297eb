#include "tests/engine/dispatch/stepped_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "engine/dispatch/read_fields.h"
#include "tests/support/make_delta.h"

namespace dspool::dispatch {
namespace {

constexpr std::size_t kMostStateBytes = std::size_t{16} << 20;

std::vector<std::string> name_workers(std::uint32_t count) {
  std::vector<std::string> names;
  names.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) names.push_back("worker-" + std::to_string(i));
  return names;
}

Limits sized(Limits limits, std::uint32_t workers) {
  if (limits.pool_size == 0) limits.pool_size = workers;
  return limits;
}

}  // namespace

std::string SteppedCall::code() const {
  if (times_ended != 1) return times_ended == 0 ? "under way" : "ended twice";
  return *result ? "ok" : result->error().code;
}

SteppedPool::SteppedPool(ipc::StateSegment& segment, Archive* archive, std::size_t history_events,
                         std::uint32_t workers, const Limits& limits)
    : names_(name_workers(std::max(workers, 2U))),
      store_(kMostStateBytes, segment),
      history_(history_events),
      begun_(names_.size(), ~std::uint64_t{0}),
      dispatcher_(sized(limits, workers),
                  {.transport = *this,
                   .store = store_,
                   .archive = archive,
                   .listener = *this,
                   .sessions = sessions_,
                   .tombstones = tombstones_,
                   .metrics = metrics_,
                   .history = history_},
                  names_, 1, now_) {
  for (std::uint32_t i = 0; i < workers; ++i) dispatcher_.worker_ready(i, ++epochs_, now_);
}

SteppedPool::~SteppedPool() {
  dispatcher_.stop(now_);
  for (std::uint32_t i = 0; i < names_.size(); ++i) {
    dispatcher_.worker_lost(i, Loss::kDeath, "killed", now_);
  }
}

void SteppedPool::replace(std::uint32_t worker) {
  std::erase_if(received_, [&](const Received& each) { return each.worker == worker; });
  dispatcher_.worker_lost(worker, Loss::kDeath, "killed", now_);
  dispatcher_.worker_ready(worker, ++epochs_, now_);
  hand_off();
}

void SteppedPool::hand_off() {
  while (std::exchange(hand_off_is_due_, false)) {
    while (dispatcher_.hand_off(now_)) continue;
  }
}

void SteppedPool::advance(std::chrono::milliseconds by) {
  for (const TimePoint end = now_ + by; now_ < end;) {
    now_ = std::min(end, now_ + std::chrono::milliseconds(1));
    while (dispatcher_.advance(now_)) continue;
    hand_off();
  }
}

void SteppedPool::prepare(SteppedCall& call, std::string_view session, CallKind kind,
                          std::chrono::milliseconds timeout) {
  call.kind = kind;
  call.command = "command";
  call.args = &args_;
  call.deadline = now_ + timeout;
  call.all_keys = true;
  call.terms = {.ttl = ttl, .durability = durability};
  const auto make = [&] {
    session::SessionRef made = session::make_session(session, now_, ttl);
    made->durability = durability;
    return made;
  };
  call.session = session.empty() ? make() : sessions_.find_or_create(session, make).first;
}

SteppedCall& SteppedPool::call(std::string_view session, CallKind kind,
                               std::chrono::milliseconds timeout) {
  SteppedCall& call = calls_.emplace_back();
  do {
    prepare(call, session, kind, timeout);
  } while (!dispatcher_.arrive(call, now_));
  hand_off();
  return call;
}

Sent SteppedPool::send(std::uint32_t worker, const Request& request) {
  last_model_ = request.lm_version;
  if (request.model_news != nullptr) {
    told_models_.push_back({.worker = worker,
                            .id = request.model_news->id,
                            .name = request.model_news->model->model,
                            .forgets = request.model_news->forget.size()});
  }
  received_.push_back(
      {.worker = worker, .request_id = request.request_id, .attempt = request.attempt});
  return Sent::kSent;
}

std::uint64_t SteppedPool::begun(std::uint32_t worker) {
  ++looks_;
  return begun_.at(worker);
}

std::vector<std::uint64_t> SteppedPool::unanswered(std::uint32_t worker) const {
  std::vector<std::uint64_t> ids;
  for (const Received& received : received_) {
    if (received.worker == worker) ids.push_back(received.request_id);
  }
  return ids;
}

bool SteppedPool::fail(std::uint64_t request_id, Error error) {
  Outcome outcome;
  outcome.status = OutcomeStatus::kError;
  outcome.error = std::move(error);
  return tell(request_id, outcome);
}

bool SteppedPool::tell(std::uint64_t request_id, OutcomeStatus status) {
  Outcome outcome;
  outcome.status = status;
  return tell(request_id, outcome);
}

bool SteppedPool::tell(std::uint64_t request_id, Outcome& outcome) {
  const auto found = std::ranges::find(received_, request_id, &Received::request_id);
  if (found == received_.end()) return false;
  const Received received = *found;
  received_.erase(found);
  outcome.attempt = received.attempt;
  return dispatcher_.answered(received.worker, received.request_id, outcome, now_);
}

void SteppedPool::answer(const Call& call, std::int64_t value, std::chrono::nanoseconds service,
                         std::chrono::nanoseconds hydration, bool keeps) {
  const auto found = std::ranges::find(received_, call.request_id, &Received::request_id);
  ASSERT_NE(found, received_.end()) << "it was not sent";
  const Received received = *found;
  received_.erase(found);
  Outcome outcome;
  outcome.service_ns = service.count();
  outcome.hydration_ns = hydration.count();
  outcome.not_kept = !keeps;
  answer(received, outcome, value);
}

void SteppedPool::fail(const Call& call, const Error& error) {
  const auto found = std::ranges::find(received_, call.request_id, &Received::request_id);
  ASSERT_NE(found, received_.end()) << "it was not sent";
  const Received received = *found;
  received_.erase(found);
  Outcome outcome;
  outcome.status = OutcomeStatus::kError;
  outcome.attempt = received.attempt;
  outcome.error = error;
  EXPECT_TRUE(dispatcher_.answered(received.worker, received.request_id, outcome, now_));
  hand_off();
}

void SteppedPool::answer_all() {
  while (!received_.empty()) {
    const Received received = received_.front();
    received_.pop_front();
    Outcome outcome;
    answer(received, outcome, 1);
  }
}

void SteppedPool::answer(const Received& received, Outcome& outcome, std::int64_t value) {
  const Value put = Value::of(value);
  outcome.attempt = received.attempt;
  outcome.delta = test::make_delta({{"value", put.bytes()}});
  EXPECT_TRUE(dispatcher_.answered(received.worker, received.request_id, outcome, now_));
  hand_off();
}

void SteppedPool::read(Call& call) {
  Result<Value> fields = read_fields(call, [this] { return now_; });
  dispatcher_.has_read(call, std::move(fields), now_);
}

void SteppedArchive::carry_out(SteppedPool& pool) {
  ASSERT_FALSE(errands_.empty());
  const std::unique_ptr<Errand> errand = std::move(errands_.front());
  errands_.pop_front();
  Errand* const only = errand.get();
  if (only->kind == Errand::Kind::kLoad) {
    runner_.load(*only);
  } else {
    ASSERT_TRUE(runner_.write({&only, 1}));
  }
  pool.dispatcher().archived(*only, pool.now());
}

void SteppedArchive::carry_out_all(SteppedPool& pool) {
  while (!errands_.empty()) carry_out(pool);
}

}  // namespace dspool::dispatch
