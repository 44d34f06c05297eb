// Which language model a call has: its session's own, or else the pool's. To give a session one of
// its own is a commit like any other, in its turn in the session's queue; what is written of it is
// a reference without the key.
//
// A worker is told a model with the first request there that needs it, and to forget one with the
// next news once nobody has it and no attempt in flight there names it.
#include <algorithm>
#include <utility>

#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/errors.h"

namespace dspool::dispatch {

const LanguageModels::Known* Dispatcher::model_of(const session::Session& session) const noexcept {
  const std::uint32_t number = session.model != 0 ? session.model : pool_model_;
  return number != 0 ? &models_.at(number) : nullptr;
}

void Dispatcher::set_lm(const LanguageModel& model) {
  // Never one too many: whatever sessions have, the pool's can be changed.
  models_.release(std::exchange(pool_model_, models_.take(model, LanguageModels::Limit::kNone)));
}

void Dispatcher::set_model(session::Session& session, Call& call, TimePoint now) {
  // One that nobody else has makes room for the next.
  const bool replaces = session.model != 0 && models_.at(session.model).users == 1;
  const auto limit = replaces ? LanguageModels::Limit::kNone : LanguageModels::Limit::kMost;
  const std::uint32_t number = call.model != nullptr ? models_.take(*call.model, limit) : 0;
  if (call.model != nullptr && number == 0) {
    return end(call, tl::unexpected(errors::too_many_language_models(LanguageModels::kMost)), now);
  }
  session.exists = true;
  const Value told = call.model != nullptr
                         ? Value{{"status", "configured"}, {"model", call.model->model}}
                         : Value{{"status", "configured"}, {"model", nullptr}};
  const auto bytes = told.bytes();
  session::Delta nothing;
  Change change{.delta = &nothing,
                .result = {bytes.begin(), bytes.end()},
                .state_id = ++requests_,
                .model = number};
  commit(session, call, std::move(change), now);
}

// `number` was taken for the session.
void Dispatcher::use_model(session::Session& session, std::uint32_t number, TimePoint now) {
  models_.release(std::exchange(session.model, number));
  renew_permits(session, now);
}

// The session's calls ask another provider than was thought; they were let in, and are not refused
// any more.
void Dispatcher::renew_permits(session::Session& session, TimePoint now) {
  for (session::QueueEntry& entry : session.queue) {
    Call& call = static_cast<Call&>(entry);
    if (call.kind != CallKind::kExecute) continue;
    resilience::ProviderBreaker* const provider = provider_for(call);
    if (provider == call.provider) continue;
    if (call.provider_permit.generation != 0) {
      call.provider->breaker.record(call.provider_permit, resilience::CallOutcome::kUnknown, now);
    }
    call.provider = provider;
    call.provider_permit = provider != nullptr
                               ? provider->breaker.try_acquire(now).value_or(resilience::Permit{})
                               : resilience::Permit{};
  }
}

void Dispatcher::drop_model(session::Session& session) noexcept {
  models_.release(std::exchange(session.model, 0));
}

// What the durable store says of a session that was never loaded here; that of all others is known,
// with its key. false: there are too many.
bool Dispatcher::restore_model(session::Session& session, const Errand& errand) {
  if (session.record.version() != 0 || !errand.model) return true;
  drop_model(session);
  session.model = models_.take(*errand.model);
  return session.model != 0;
}

// true: the session's head call has ended, since its model cannot be asked without its key.
bool Dispatcher::refuse_without_key(session::Session& session, TimePoint now) {
  const LanguageModels::Known& known = models_.at(session.model);
  if (!known.lacks_key) return false;
  end(take_head(session),
      tl::unexpected(errors::language_model_key_missing(session.id(), known.model.model)), now);
  return true;
}

// What the attempt's worker has to be told before it. `news` is good until the next is made.
void Dispatcher::tell_model(const Attempt& attempt, std::uint32_t number, worker::ModelNews& news) {
  WorkerSlot& slot = *workers_[attempt.worker];
  for (std::uint32_t i = 0; i < slot.models.size(); ++i) {
    if (slot.models[i] == 0 || models_.is_current(i, slot.models[i])) continue;
    slot.stale_models.push_back(std::exchange(slot.models[i], 0));
  }
  const auto is_named = [&slot](std::uint64_t id) {
    bool named = false;
    slot.for_each_in_flight([&](const Attempt& each) { named = named || each.model == id; });
    return named;
  };
  std::vector<std::uint64_t>& stale = slot.stale_models;
  const auto over = std::partition(stale.begin(), stale.end(), is_named);
  forgotten_.assign(over, stale.end());
  stale.erase(over, stale.end());
  if (slot.models.size() <= number) slot.models.resize(number + 1);
  slot.models[number] = attempt.model;
  const LanguageModels::Known& known = models_.at(number);
  news = {
      .id = attempt.model, .model = &known.model, .key = known.key.view(), .forget = forgotten_};
}

}  // namespace dspool::dispatch
