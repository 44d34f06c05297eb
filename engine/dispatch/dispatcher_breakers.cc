// Circuit breakers: who is let through, and what is told to them.
//
// A death counts once, however many calls it cost, and not at all where the worker was up before
// the last one that counted: half a pool that dies at once is one failure, and the pool goes on.
// What opens the pool's breaker are workers that come up and die, one after the other, while
// nobody answers.
#include <algorithm>
#include <utility>

#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/errors.h"
#include "engine/dispatch/language_model.h"

namespace dspool::dispatch {
namespace {

using resilience::CallOutcome;

constexpr std::size_t kMostFailureBytes = 512;

std::string clip(std::string text) {
  if (text.size() > kMostFailureBytes) {
    text.resize(kMostFailureBytes);
    text += "...";
  }
  return text;
}

}  // namespace

bool Dispatcher::isolate_breaker(std::string_view name) {
  resilience::NamedBreaker* const found = breakers_.find(name);
  if (found == nullptr) return false;
  found->breaker.isolate();
  ports_.listener.health_changed();
  return true;
}

bool Dispatcher::close_breaker(std::string_view name) {
  resilience::NamedBreaker* const found = breakers_.find(name);
  if (found == nullptr) return false;
  found->breaker.close();
  ports_.listener.health_changed();
  return true;
}

// Takes the permits that the call needs; what it holds when it is refused, `end` returns.
std::optional<Error> Dispatcher::ask_breakers(Call& call, TimePoint now) {
  if (resilience::ProviderBreaker* const provider = provider_for(call)) {
    const auto permit = provider->breaker.try_acquire(now);
    if (!permit) return refuse_by(*provider, now);
    call.provider = provider;
    call.provider_permit = *permit;
  }
  const auto permit = breakers_.pool().breaker.try_acquire(now);
  if (!permit) return refuse_by(breakers_.pool(), now);
  call.permit = *permit;
  retry_budget_.note_call(now);
  return std::nullopt;
}

// A call that waited while a breaker opened is no more welcome than one that comes now.
std::optional<Error> Dispatcher::ask_again(Call& call, TimePoint now) {
  const auto renew = [&](resilience::NamedBreaker& of, resilience::Permit& permit) {
    if (permit.generation == 0 || of.breaker.honours(permit)) return true;
    const auto renewed = of.breaker.try_acquire(now);
    permit = renewed.value_or(resilience::Permit{});
    return renewed.has_value();
  };
  if (call.provider != nullptr && !renew(*call.provider, call.provider_permit)) {
    return refuse_by(*call.provider, now);
  }
  if (!renew(breakers_.pool(), call.permit)) return refuse_by(breakers_.pool(), now);
  return std::nullopt;
}

// The breaker of whoever's language model the call has; null: none is known to be asked.
resilience::ProviderBreaker* Dispatcher::provider_for(const Call& call) noexcept {
  if (!breakers_.has_providers()) return nullptr;
  if (call.session->tier == session::Tier::kUnknown) return nullptr;  // it is known once loaded
  const LanguageModels::Known* const known = model_of(*call.session);
  const std::string_view asked = known != nullptr ? provider_of(known->model) : std::string_view();
  return breakers_.find_for(call.command, asked);
}

std::optional<Error> Dispatcher::refuse_by(resilience::NamedBreaker& breaker, TimePoint now) {
  ++breaker.refusals;
  ports_.metrics.refused_for(telemetry::Refusal::kCircuitOpen).add(1);
  return errors::circuit_open(breaker.describe(now), &breaker == &breakers_.pool());
}

// A worker that answers is as the pool should be, whatever the command made of it.
void Dispatcher::note_answer(Call& call, const Outcome& outcome, TimePoint now) {
  record(breakers_.pool(), call.permit, CallOutcome::kSuccess, now);
  if (outcome.status != OutcomeStatus::kOk) {
    if (!outcome.error.provider.empty()) note_provider_failure(call, outcome.error, now);
  } else if (call.provider != nullptr) {
    record(*call.provider, call.provider_permit, CallOutcome::kSuccess, now);
  }
}

void Dispatcher::note_provider_failure(Call& call, const Error& error, TimePoint now) {
  resilience::ProviderBreaker* const provider = breakers_.learn(error.provider, call.command);
  if (provider == nullptr) return;
  if (call.provider != provider) {  // it was let in before anybody knew that it asks this one
    if (call.provider != nullptr) {
      call.provider->breaker.record(call.provider_permit, CallOutcome::kUnknown, now);
    }
    call.provider = provider;
    call.provider_permit = provider->breaker.try_acquire(now).value_or(resilience::Permit{});
  }
  if (record(*provider, call.provider_permit, CallOutcome::kFailure, now)) {
    provider->last_failure = clip(error.describe());
  }
}

// The deadline of a call has come. Where a worker executes it, that is too slow, or hangs.
void Dispatcher::note_timeout(Call& call, TimePoint now) {
  if (call.request_id == 0 || call.kind != CallKind::kExecute) return;
  constexpr std::string_view kWhat = "a call's deadline passed while a worker executed it";
  note_pool_failure(call, kWhat, now);
  if (call.provider == nullptr) return;
  if (record(*call.provider, call.provider_permit, CallOutcome::kFailure, now)) {
    call.provider->last_failure = kWhat;
  }
}

// true: it counted.
bool Dispatcher::note_pool_failure(Call& call, std::string_view what, TimePoint now) {
  resilience::NamedBreaker& pool = breakers_.pool();
  if (!record(pool, call.permit, CallOutcome::kFailure, now)) return false;
  pool.last_failure = clip(std::string(what));
  return true;
}

// As CircuitBreaker::record; what that may have changed is told. While all is well it is nothing.
bool Dispatcher::record(resilience::NamedBreaker& of, resilience::Permit& permit,
                        CallOutcome outcome, TimePoint now) {
  const bool was_closed = of.breaker.is_closed();
  const bool counts = of.breaker.record(permit, outcome, now);
  if (!was_closed || !of.breaker.is_closed()) [[unlikely]]
    ports_.listener.health_changed();
  return counts;
}

bool Dispatcher::counts_as_failure(const WorkerSlot& lost) const noexcept {
  if (lost.is_retired || stopping_) return false;
  return !breakers_.pool().breaker.is_closed() || lost.ready_since >= counted_death_;
}

void Dispatcher::return_permits(Call& call, TimePoint now) noexcept {
  if (call.permit.generation != 0) {
    breakers_.pool().breaker.record(call.permit, CallOutcome::kUnknown, now);
  }
  if (call.provider_permit.generation != 0) {
    call.provider->breaker.record(call.provider_permit, CallOutcome::kUnknown, now);
  }
}

}  // namespace dspool::dispatch
