#include "engine/dispatch/mover.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace dspool::dispatch {
namespace {

constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();

}  // namespace

Mover::Mover(Gate& gate, session::SessionTable& sessions, std::span<const std::string> names,
             telemetry::Metrics& metrics, MigrationObservers& observers, Waker& wake, bool moves)
    : gate_(gate),
      sessions_(sessions),
      names_(names),
      metrics_(metrics),
      observers_(observers),
      wake_(wake),
      moves_(moves) {}

void Mover::empty(std::uint32_t worker, std::uint64_t epoch, MigrationReason reason) {
  if (!moves_) return;
  auto source = std::make_shared<Source>(Source{
      .at = {.worker = worker, .epoch = epoch}, .quota = kAll, .below = kAll, .reason = reason});
  gate_.ask([&](const Dispatcher& dispatcher, TimePoint) {
    dispatcher.worker(worker).for_each_in_flight([&](const Attempt& attempt) {
      if (!attempt.session->anonymous()) source->running.push_back(attempt.session);
    });
  });
  next_round_.push_back(source);
  emptied_.push_back(std::move(source));
}

void Mover::has_stopped(std::uint32_t worker) {
  for (const auto& source : emptied_) {
    if (source->at.worker != worker) continue;
    for (session::SessionRef& session : source->running) {
      ++source->under_way;
      candidates_.push_back({.session = std::move(session), .source = source});
    }
    source->running.clear();
  }
}

void Mover::even_out() {
  if (!moves_ || !is_idle()) return;
  gate_.ask([&](const Dispatcher& dispatcher, TimePoint) {
    std::uint64_t sum = 0;
    std::uint32_t ready = 0;
    for (std::uint32_t i = 0; i < dispatcher.workers(); ++i) {
      const WorkerSlot& slot = dispatcher.worker(i);
      if (slot.state != WorkerState::kReady) continue;
      sum += slot.warm_sessions;
      ++ready;
    }
    if (ready < 2) return;
    const std::uint64_t mean = (sum + ready - 1) / ready;
    for (std::uint32_t i = 0; i < dispatcher.workers(); ++i) {
      const WorkerSlot& slot = dispatcher.worker(i);
      if (slot.state != WorkerState::kReady || slot.warm_sessions <= mean) continue;
      next_round_.push_back(
          std::make_shared<Source>(Source{.at = {.worker = i, .epoch = slot.epoch},
                                          .quota = slot.warm_sessions - mean,
                                          .below = mean,
                                          .reason = MigrationReason::kRebalance}));
    }
  });
}

Result<void> Mover::move(Front& front, std::string_view session, std::uint32_t worker,
                         std::chrono::milliseconds patience) {
  std::optional<std::uint32_t> from;
  const Result<bool> has_moved = front.migrate_session(session, worker, patience, from);
  if (!has_moved) return tl::unexpected(has_moved.error());
  if (*has_moved) tell(session, from, worker, MigrationReason::kAsked);
  return {};
}

bool Mover::is_emptying(std::uint32_t worker) const {
  return std::ranges::any_of(emptied_,
                             [worker](const auto& source) { return source->at.worker == worker; });
}

Mover::~Mover() {
  std::unique_lock lock(mutex_);
  came_back_.wait(lock, [this] { return ended_.size() == under_way_; });
}

bool Mover::step() {
  bool more = take_ended();
  if (candidates_.empty()) last_progress_ = Gate::now();
  if (candidates_.size() < kMostUnderWay) more = look_on() || more;
  submit();
  if (candidates_.empty()) last_progress_ = Gate::now();
  give_up();
  const auto done = std::erase_if(emptied_, [](const auto& source) {
    return source->was_looked_for && source->under_way == 0 && source->running.empty();
  });
  more = more || done != 0;
  const bool waits = !candidates_.empty() && under_way_ < kMostUnderWay;
  next_step_ = waits ? Gate::now() + kRetry : TimePoint::max();
  return more;
}

// Finds sessions to move in the next piece of the table. false: there is none left to look at.
bool Mover::look_on() {
  if (round_.empty()) {
    if (next_round_.empty()) return false;
    round_.swap(next_round_);
    looked_until_.clear();
  }
  const auto found = sessions_.next(looked_until_, kLooksPerStep);
  gate_.ask([&](const Dispatcher& dispatcher, TimePoint) {
    for (const session::SessionRef& session : found) {
      for (const auto& source : round_) {
        if (source->quota == 0 || !dispatcher.is_warm_at(*session, source->at)) continue;
        if (source->quota != kAll) --source->quota;
        ++source->under_way;
        candidates_.push_back({.session = session, .source = source});
      }
    }
  });
  const bool wants_more =
      std::ranges::any_of(round_, [](const auto& source) { return source->quota != 0; });
  if (found.size() < kLooksPerStep || !wants_more) {
    for (const auto& source : round_) source->was_looked_for = true;
    round_.clear();
    return true;
  }
  looked_until_ = found.back()->id();
  return true;
}

void Mover::submit() {
  if (candidates_.empty() || under_way_ >= kMostUnderWay) return;
  gate_.step([&](Dispatcher& dispatcher, TimePoint now) {
    for (auto looks = candidates_.size(); looks != 0 && under_way_ < kMostUnderWay; --looks) {
      Candidate candidate = std::move(candidates_.front());
      candidates_.pop_front();
      if (send(candidate, dispatcher, now)) {
        last_progress_ = now;
        continue;
      }
      const bool nobody_is_free = candidate.source->below == kAll;
      candidates_.push_back(std::move(candidate));
      if (nobody_is_free) return;
    }
  });
}

// false: nobody is free for it.
bool Mover::send(const Candidate& candidate, Dispatcher& dispatcher, TimePoint now) {
  const Source& source = *candidate.source;
  const auto target = dispatcher.pick_target(source.at.worker, source.below);
  if (!target) return false;
  auto move = std::make_unique<OwnMove>(static_cast<MoveSink&>(*this));
  move->kind = CallKind::kMove;
  move->session = candidate.session;
  move->args = &no_args_;
  move->deadline = now + kTimeout;
  move->creates_session = false;
  move->move = {.to = *target, .from = source.at};
  move->source = candidate.source;
  if (!dispatcher.arrive(*move, now)) {  // it has ended
    --candidate.source->under_way;
    return true;
  }
  ++under_way_;
  static_cast<void>(move.release());  // it comes back by `has_ended`
  return true;
}

void Mover::has_ended(MoveCall& call) {
  {
    const std::lock_guard lock(mutex_);
    ended_.emplace_back(static_cast<OwnMove*>(&call));
    wake_.wake();  // under the lock: whoever ends this waits for that
    came_back_.notify_one();
  }
}

// Whether there was any.
bool Mover::take_ended() {
  std::vector<std::unique_ptr<OwnMove>> ended;
  {
    const std::lock_guard lock(mutex_);
    ended.swap(ended_);
  }
  for (const auto& move : ended) take(*move);
  return !ended.empty();
}

void Mover::take(OwnMove& move) {
  --under_way_;
  if (!*move.result && move.result->error().code == "worker_busy") {
    candidates_.push_back({.session = move.session, .source = move.source});
    return;
  }
  --move.source->under_way;
  if (!move.move.has_moved) return;
  tell(move.session->id(), move.source->at.worker, move.move.to, move.source->reason);
}

void Mover::tell(std::string_view session, std::optional<std::uint32_t> from, std::uint32_t to,
                 MigrationReason reason) {
  metrics_.migrations.add(1);
  observers_.tell({.session = std::string(session),
                   .from = from ? names_[*from] : std::string(),
                   .to = names_[to],
                   .reason = reason});
}

// Those for whom nobody has been free for long.
void Mover::give_up() {
  if (candidates_.empty() || Gate::now() - last_progress_ < kPatience) return;
  for (const Candidate& each : candidates_) --each.source->under_way;
  candidates_.clear();
}

}  // namespace dspool::dispatch
