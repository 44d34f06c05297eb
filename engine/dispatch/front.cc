#include "engine/dispatch/front.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "dspool/session_id.h"
#include "engine/dispatch/caller_inbox.h"
#include "engine/dispatch/errors.h"
#include "engine/dispatch/field_update.h"
#include "engine/dispatch/language_model.h"
#include "engine/dispatch/read_fields.h"
#include "engine/dispatch/receiver.h"

namespace dspool::dispatch {
namespace {

constexpr std::size_t kMostCommandBytes = 1024;
constexpr std::chrono::hours kLongestTimeout{7 * 24};
constexpr std::chrono::hours kLongestTtl{7 * 24};

// What comes of `attempt`, before its call is admitted; of one that found no memory, that.
template <typename Attempt>
auto or_no_memory(const Attempt& attempt) -> decltype(attempt()) {
  try {
    return attempt();
  } catch (const std::bad_alloc&) {
    return tl::unexpected(errors::no_engine_memory());
  }
}

}  // namespace

Front::Front(const Config& config, Gate& gate, session::SessionTable& sessions,
             session::Tombstones& tombstones, ipc::PayloadStore& payloads,
             ipc::StateSegment& segment, Waker& reactor, const Census* census)
    : config_(config),
      gate_(gate),
      sessions_(sessions),
      tombstones_(tombstones),
      payloads_(payloads),
      segment_(segment),
      reactor_(reactor),
      census_(census) {}

Result<Answer> Front::execute(std::string_view id, std::string_view command, const Value& args,
                              const CallOptions& options) {
  if (auto valid = check_id(id); !valid) return tl::unexpected(std::move(valid.error()));
  return execute_command(id, command, args, options);
}

Result<Answer> Front::execute_anonymous(std::string_view command, const Value& args,
                                        const CallOptions& options) {
  return execute_command({}, command, args, options);
}

Result<Answer> Front::execute_command(std::string_view id, std::string_view command,
                                      const Value& args, const CallOptions& options) {
  if (auto valid = check(command, args, options); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
  if (sets_language_model(command)) return set_lm_by_command(id, args, options);
  if (options.on_chunk) return execute_streaming(id, command, args, options);
  BlockingCall call;
  call.args = &args;
  auto placed = or_no_memory([&] {
    prepare(call, command, options);
    if (!call.idempotency_key.empty()) call.asked = fingerprint_of(call);
    return place_arguments(call);
  });
  if (!placed) return tl::unexpected(std::move(placed.error()));
  return run(call, id);
}

// A submitted call whose chunks, and whose completion, run on the thread that waits for it.
Result<Answer> Front::execute_streaming(std::string_view id, std::string_view command,
                                        const Value& args, const CallOptions& options) {
  if (auto valid = check_may_block(); !valid) return tl::unexpected(std::move(valid.error()));
  CallerInbox inbox;
  submit(
      id, command, args, [&inbox](Result<Answer> result) { inbox.finish(std::move(result)); },
      options, [&inbox](std::function<void()> task) { inbox.post(std::move(task)); });
  return inbox.wait();
}

CallId Front::submit(std::string_view id, std::string_view command, Value args, Completion done,
                     const CallOptions& options) {
  return submit(id, command, std::move(args), std::move(done), options, {});
}

CallId Front::submit(std::string_view id, std::string_view command, Value args, Completion done,
                     const CallOptions& options, const Gate::Executor& chunks_run_on) {
  const auto end = [&](Result<Answer> result) {
    return refuse(std::move(done), std::move(result), chunks_run_on);
  };
  if (!id.empty()) {
    if (auto valid = check_id(id); !valid) return end(tl::unexpected(std::move(valid.error())));
  }
  if (auto valid = check(command, args, options); !valid) {
    return end(tl::unexpected(std::move(valid.error())));
  }
  if (sets_language_model(command)) return submit_set_lm(id, args, std::move(done), options);
  std::unique_ptr<SubmittedCall> call;
  auto placed = or_no_memory([&] {
    call = std::make_unique<SubmittedCall>();
    call->owned_command = command;
    call->owned_args = std::move(args);
    call->owned_key = options.idempotency_key;
    call->args = &call->owned_args;
    prepare(*call, call->owned_command, options);
    call->idempotency_key = call->owned_key;
    if (!call->idempotency_key.empty()) call->asked = fingerprint_of(*call);
    return place_arguments(*call);
  });
  if (!placed) return end(tl::unexpected(std::move(placed.error())));
  if (options.on_chunk) {
    call->stream = gate_.open_stream(options.on_chunk, chunks_run_on);
    call->window = &call->stream->window();
  }
  return submit(id, std::move(call), std::move(done), chunks_run_on);
}

// Where completions run on the thread that waits for them, this is that thread.
CallId Front::refuse(Completion done, Result<Answer> result, const Gate::Executor& runs_on) const {
  if (runs_on) {
    done(std::move(result));
  } else {
    gate_.complete(std::move(done), std::move(result));
  }
  return CallId{0};
}

CallId Front::submit(std::string_view id, std::unique_ptr<SubmittedCall> call, Completion done,
                     const Gate::Executor& runs_on) {
  for (;;) {
    auto session = find_session(id, call->creates_session);
    if (!session) {
      return refuse(std::move(done), tl::unexpected(std::move(session.error())), runs_on);
    }
    call->session = std::move(*session);
    call->completion = std::move(done);
    std::uint64_t public_id = 0;
    if (gate_.arrive(*call, public_id)) {
      static_cast<void>(call.release());  // it deletes itself once its completion has run
      return CallId{public_id};
    }
    done = std::move(call->completion);
  }
}

bool Front::cancel(CallId call) { return gate_.cancel(static_cast<std::uint64_t>(call)); }

// ---- sessions ----

Result<SessionInfo> Front::create_session(std::string_view id, const SessionOptions& options) {
  if (!config_.pooling_enabled) return tl::unexpected(errors::pooling_disabled());
  if (auto valid = check_id(id); !valid) return tl::unexpected(std::move(valid.error()));
  const Terms terms{.ttl = options.ttl.value_or(config_.session.ttl),
                    .durability = options.durability.value_or(config_.session.durability)};
  if (terms.ttl.count() < 0 || terms.ttl > kLongestTtl) {
    return tl::unexpected(errors::invalid_ttl());
  }
  if (terms.durability == Durability::kReplicated ||
      (terms.durability == Durability::kLocal && census_ == nullptr)) {
    return tl::unexpected(errors::durability_unavailable(terms.durability));
  }
  if (auto valid = check_may_block(); !valid) return tl::unexpected(std::move(valid.error()));
  const SessionTerms all_terms{.ttl = terms.ttl,
                               .durability = terms.durability,
                               .created = std::chrono::system_clock::now()};
  for (;;) {
    const Found found = find_or_create(id, terms, true);
    if (!found.session) return tl::unexpected(found.refusal);
    BlockingCall visit;
    if (!take_turn(visit, CallKind::kVisit, found.session, all_terms)) continue;
    const bool replaces = options.if_exists == IfExists::kReplace;
    const bool corrupted = !*visit.result && visit.result->error().code == "session_corrupted";
    if (!*visit.result && !(corrupted && replaces)) {
      return tl::unexpected(std::move(visit.result->error()));
    }
    if (visit.found_session && options.if_exists == IfExists::kFail) {
      return tl::unexpected(errors::session_exists(id));
    }
    if (corrupted || (visit.found_session && replaces)) {
      BlockingCall replace;
      if (!take_turn(replace, CallKind::kReplaceSession, found.session, all_terms)) continue;
      if (!*replace.result) return tl::unexpected(std::move(replace.result->error()));
    }
    const auto wall = std::chrono::system_clock::now();
    std::optional<SessionInfo> info;
    gate_.step([&](Dispatcher& dispatcher, TimePoint now) {
      if (dispatcher.touch(*found.session, now)) {
        info = dispatcher.describe(*found.session, now, wall);
      }
    });
    if (info) return *std::move(info);
  }
}

// false: the session was ended in the meantime, and nothing happened.
bool Front::take_turn(BlockingCall& call, CallKind kind, const session::SessionRef& session,
                      const SessionTerms& terms) {
  prepare(call, {}, {});
  call.kind = kind;
  call.terms = terms;
  call.session = session;
  if (gate_.arrive(call).gone) return false;
  call.done.wait(0, std::memory_order_acquire);
  return true;
}

Result<void> Front::touch_session(std::string_view id) {
  const auto touch = [this](session::Session& session) {
    bool there = false;
    gate_.step(
        [&](Dispatcher& dispatcher, TimePoint now) { there = dispatcher.touch(session, now); });
    return there;
  };
  const session::SessionRef session = sessions_.find(id);
  if (session && touch(*session)) return {};
  if (census_ == nullptr) return tl::unexpected(no_session(id));
  BlockingCall call;
  if (auto there = visit(call, id); !there) return there;
  if (!touch(*call.session)) return tl::unexpected(no_session(id));
  return {};
}

// One that the table does not know is in no quarantine; whether there is one, a visit tells.
Result<void> Front::release_session(std::string_view id) {
  if (!config_.pooling_enabled) return tl::unexpected(errors::pooling_disabled());
  const session::SessionRef session = sessions_.find(id);
  bool released = false;
  if (session) {
    gate_.step([&](Dispatcher& dispatcher, TimePoint now) {
      released = dispatcher.release_from_quarantine(*session, now);
    });
  }
  if (released) return {};
  if (census_ == nullptr) return tl::unexpected(no_session(id));
  BlockingCall call;
  return visit(call, id);
}

Result<SessionInfo> Front::get_session(std::string_view id) {
  session::SessionRef session = sessions_.find(id);
  const bool known = session && gate_.ask([&](const Dispatcher&, TimePoint) {
    return session->tier == session::Tier::kShared || session->record.version() != 0;
  });
  if (!known && census_ != nullptr) {
    BlockingCall call;
    if (auto there = visit(call, id); !there) return tl::unexpected(std::move(there.error()));
    session = call.session;
  }
  if (!session) return tl::unexpected(no_session(id));
  const auto wall = std::chrono::system_clock::now();
  return gate_.ask([&](const Dispatcher& dispatcher, TimePoint now) {
    return dispatcher.describe(*session, now, wall);
  });
}

Result<void> Front::visit(BlockingCall& call, std::string_view id, const CallOptions& options) {
  prepare(call, {}, options);
  call.kind = CallKind::kVisit;
  call.creates_session = false;
  auto there = run(call, id);
  if (!there) return tl::unexpected(std::move(there.error()));
  return {};
}

Result<std::vector<std::string>> Front::list_sessions(std::string_view after, std::size_t limit,
                                                      std::string_view prefix) const {
  if (!may_be_at_rest()) return sessions_.list(after, limit, prefix);
  auto stored = census_->list(after, limit, prefix);
  if (!stored) return stored;
  // Those that the table has got to know while the store was read are in the table now.
  std::vector<std::string> known = sessions_.list(after, limit, prefix);
  std::vector<std::string> all;
  std::ranges::set_union(*stored, known, std::back_inserter(all));
  if (all.size() > limit) all.resize(limit);
  return all;
}

Result<Answer> Front::read_fields(std::string_view id, const std::vector<std::string>* keys,
                                  const CallOptions& options) {
  if (!config_.pooling_enabled) return tl::unexpected(errors::pooling_disabled());
  if (auto valid = check_id(id); !valid) return tl::unexpected(std::move(valid.error()));
  BlockingCall call;
  prepare(call, {}, options);
  call.kind = CallKind::kReadFields;
  call.creates_session = false;
  call.idempotency_key = {};
  call.all_keys = keys == nullptr;
  if (keys != nullptr) call.keys = *keys;
  return run(call, id);
}

Result<Answer> Front::update_fields(std::string_view id, const FieldUpdate& update,
                                    std::optional<std::uint64_t> if_version,
                                    const CallOptions& options) {
  if (!config_.pooling_enabled) return tl::unexpected(errors::pooling_disabled());
  if (auto valid = check_id(id); !valid) return tl::unexpected(std::move(valid.error()));
  if (auto valid = check_key(options.idempotency_key); !valid) {
    return tl::unexpected(std::move(valid.error()));
  }
  auto delta = or_no_memory([&] {
    auto made = delta_from(update, config_.worker.max_payload_bytes);
    if (made) session::prepare(*made, segment_, session::kStepShard);
    return made;
  });
  if (!delta) return tl::unexpected(std::move(delta.error()));
  BlockingCall call;
  prepare(call, {}, options);
  call.kind = CallKind::kUpdateFields;
  call.update = &*delta;
  call.if_version = if_version;
  if (!call.idempotency_key.empty()) call.asked = fingerprint_of(call);
  return run(call, id);
}

Result<void> Front::end_session(std::string_view id, const CallOptions& options) {
  if (!config_.pooling_enabled) return tl::unexpected(errors::pooling_disabled());
  if (auto valid = check_id(id); !valid) return valid;
  BlockingCall call;
  prepare(call, {}, options);
  call.kind = CallKind::kEndSession;
  call.creates_session = false;
  auto ended = run(call, id);
  if (!ended) return tl::unexpected(std::move(ended.error()));
  return {};
}

Result<bool> Front::migrate_session(std::string_view id, std::uint32_t worker,
                                    std::chrono::milliseconds patience,
                                    std::optional<std::uint32_t>& from) {
  constexpr std::chrono::milliseconds kRetry{2};
  std::optional<Error> busy;
  if (auto valid = check_id(id); !valid) return tl::unexpected(std::move(valid.error()));
  const Value no_args;
  const TimePoint deadline =
      Gate::now() + std::min<std::chrono::milliseconds>(patience, kLongestTimeout);
  BlockingCall first_visit;  // which brings it back from the durable store
  if (auto found = visit(first_visit, id, {.timeout = patience}); !found) {
    return tl::unexpected(std::move(found.error()));
  }
  for (;;) {
    BlockingCall call;
    prepare(call, {}, {.create_session = false});
    call.kind = CallKind::kMove;
    call.args = &no_args;
    call.deadline = deadline;
    call.move.to = worker;
    auto ended = run(call, id);
    if (ended) {
      from = call.move.was_at;
      return call.move.has_moved;
    }
    const bool is_late = ended.error().category == ErrorCategory::kTimeout;
    if (is_late && busy) return tl::unexpected(*std::move(busy));
    if (ended.error().code == "worker_busy") busy = ended.error();
    const bool may_try_again =
        ended.error().code == "worker_busy" && Gate::now() + kRetry < deadline;
    if (!may_try_again) return tl::unexpected(std::move(ended.error()));
    std::this_thread::sleep_for(kRetry);
  }
}

// ---- the way of a call ----

Result<void> Front::check(std::string_view command, const Value& args,
                          const CallOptions& options) const {
  if (!config_.pooling_enabled) return tl::unexpected(errors::pooling_disabled());
  if (command.empty()) return tl::unexpected(errors::invalid_command());
  if (auto valid = check_key(options.idempotency_key); !valid) return valid;
  if (command.size() > kMostCommandBytes) return tl::unexpected(errors::invalid_command());
  const std::size_t bytes = args.bytes().size();
  if (bytes > config_.worker.max_payload_bytes) {
    return tl::unexpected(errors::value_too_large(bytes, config_.worker.max_payload_bytes));
  }
  return {};
}

// Arguments that are too long for a ring are put where every worker can read them: by the caller's
// thread, and once, however many attempts there are.
Result<void> Front::place_arguments(Call& call) {
  const auto bytes = std::as_bytes(call.args->bytes());
  if (bytes.size() <= worker::kValueLimitBytes) return {};
  auto placed = payloads_.place(bytes);
  if (!placed) return tl::unexpected(errors::no_payload_memory(placed.error().what));
  call.long_args = std::move(*placed);
  return {};
}

Result<void> Front::check_id(std::string_view id) {
  if (!SessionId::valid(id)) return tl::unexpected(errors::invalid_session_id(id.size()));
  return {};
}

Result<void> Front::check_key(std::string_view idempotency_key) {
  if (idempotency_key.size() <= errors::kMostKeyBytes) return {};
  return tl::unexpected(errors::invalid_idempotency_key(idempotency_key.size()));
}

// A blocking call on the reactor waits for a thread that waits for it.
Result<void> Front::check_may_block() const {
  if (reactor_.is_owner()) return tl::unexpected(errors::would_deadlock());
  return {};
}

Result<session::SessionRef> Front::find_session(std::string_view id, bool create) {
  return or_no_memory([&] { return find_or_make_session(id, create); });
}

Result<session::SessionRef> Front::find_or_make_session(std::string_view id, bool create) {
  if (id.empty()) return session::make_session({}, Gate::now());
  if (create || may_be_at_rest()) {
    Found found = find_or_create(id, {config_.session.ttl, config_.session.durability}, false);
    if (!found.session) return tl::unexpected(std::move(found.refusal));
    return std::move(found.session);
  }
  session::SessionRef session = sessions_.find(id);
  if (!session) return tl::unexpected(no_session(id));
  return session;
}

// Whether there may be sessions in the durable store that the table does not know yet.
bool Front::may_be_at_rest() const noexcept { return census_ != nullptr && !census_->is_done(); }

// `anew`: although it has expired.
Front::Found Front::find_or_create(std::string_view id, const Terms& terms, bool anew) {
  Found found;
  std::tie(found.session, found.is_new) =
      sessions_.find_or_create(id, [&]() -> session::SessionRef {
        const TimePoint now = Gate::now();
        if (!anew && tombstones_.has(id, now)) {
          found.refusal = errors::session_expired(id);
          return nullptr;
        }
        if (sessions_.size() >= config_.session.max_sessions) {
          found.refusal = errors::too_many_sessions(config_.session.max_sessions);
          return nullptr;
        }
        if (anew) tombstones_.remove(id);
        session::SessionRef made = session::make_session(id, now, terms.ttl);
        made->durability = terms.durability;
        made->created = std::chrono::system_clock::now();
        if (may_be_at_rest()) made->tier = session::Tier::kUnknown;
        return made;
      });
  return found;
}

Error Front::no_session(std::string_view id) const {
  return tombstones_.has(id, Gate::now()) ? errors::session_expired(id)
                                          : errors::session_not_found(id);
}

void Front::prepare(Call& call, std::string_view command, const CallOptions& options) const {
  call.command = command;
  call.max_retries = options.max_retries;
  if (call.max_retries != 0) {
    call.pauses = resilience::choose_pauses(options.backoff, options.max_retries, config_.retry);
  }
  call.creates_session = options.create_session;
  call.idempotency_key = options.idempotency_key;
  const auto timeout = options.timeout.value_or(config_.operation_timeout);
  call.deadline = Gate::now() + std::min<std::chrono::milliseconds>(timeout, kLongestTimeout);
}

Result<Answer> Front::run(BlockingCall& call, std::string_view id) {
  if (auto valid = check_may_block(); !valid) return tl::unexpected(std::move(valid.error()));
  Gate::Admission admission;
  do {
    auto session = find_session(id, call.creates_session);
    if (!session) return tl::unexpected(std::move(session.error()));
    call.session = std::move(*session);
    admission = gate_.arrive(call);
  } while (admission.gone);
  if (admission.to_read) {
    receive_until_done(gate_, *admission.to_read, call, reactor_, admission.crowded);
  } else {
    call.done.wait(0, std::memory_order_acquire);
  }
  if (!call.result) gate_.finish_reading(call, dispatch::read_fields(call, &Gate::now));
  return std::move(*call.result);
}

}  // namespace dspool::dispatch
