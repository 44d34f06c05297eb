#include "tests/sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/dispatch/read_fields.h"
#include "tests/sim/simulated_state.h"
#include "tests/support/history_checker.h"

namespace dspool::sim {
namespace {

using std::chrono::milliseconds;

constexpr nanoseconds kMeanBetweenArrivals = std::chrono::microseconds(900);
constexpr milliseconds kGrace{40};
constexpr milliseconds kPause{5};
constexpr int kKeys = 3;  // for each session and command
// The wheel's tick, and the step that an event may take.
constexpr nanoseconds kLateness = milliseconds(3);

RetryConfig retries(const Options& options) {
  RetryConfig config;
  config.base_delay = kPause;
  config.jitter = options.jitter;
  config.budget_percent = options.seed % 2 == 0 ? 100 : 5;
  config.budget_per_second = 1;
  return config;
}

CircuitBreakerConfig breaker(const Options& options) {
  CircuitBreakerConfig config;
  config.enabled = options.breaks;
  config.failure_threshold = 3;
  config.timeout = milliseconds(20);
  return config;
}

dispatch::Limits limits(const Options& options) {
  return {.max_in_flight = options.max_in_flight,
          .pipeline = options.pipeline,
          .session_queue = 64,
          .queue = 200 * options.rush,
          .checkout_timeout = milliseconds(options.rush > 1 ? 1'000 : 150),
          .cancel_grace = kGrace,
          .affinity = options.affinity,
          .session_ttl = options.ttl,
          .first_places = options.workers,
          .max_requests = options.restless ? 60U : 0U,
          .retry = retries(options),
          .circuit_breaker = breaker(options)};
}

std::vector<std::string> names() {
  std::vector<std::string> result;
  for (std::uint32_t i = 0; i < SimulatedFleet::kPlaces; ++i)
    result.push_back(fmt::format("sim-{}", i));
  return result;
}

}  // namespace

Simulation::Simulation(const Options& options)
    : options_(options),
      random_(static_cast<std::minstd_rand::result_type>(options.seed * 2654435761U + 1)),
      store_(random_, segment_),
      archive_(
          durable_, segment_, metrics_, random_,
          [this](nanoseconds delay, std::function<void()> act) { after(delay, std::move(act)); },
          [this](dispatch::Errand& errand) { dispatcher_.archived(errand, now_); }),
      names_(names()),
      dispatcher_(limits(options),
                  {.transport = *this,
                   .store = store_,
                   .archive = options.durable ? this : nullptr,
                   .listener = *this,
                   .sessions = sessions_,
                   .tombstones = tombstones_,
                   .metrics = metrics_,
                   .history = history_},
                  names_, options.seed, now_),
      fleet_(options.workers, options.restless, dispatcher_, sessions_, *this, random_),
      workers_(SimulatedFleet::kPlaces),
      places_(SimulatedFleet::kPlaces) {}

Simulation::~Simulation() = default;

std::vector<std::string> Simulation::run() {
  for (std::uint32_t i = 0; i < options_.workers; ++i) start_soon(i, milliseconds(5));
  for (std::uint32_t i = 0; i < SimulatedFleet::kPlaces; ++i) die_by_chance(i);
  change_fleet();
  unfinished_ = options_.calls;
  after(nanoseconds(0), [this] { arrive_somebody(); });
  constexpr std::uint64_t kTooManyEvents = 10'000'000;
  const auto busy = [this] {
    return unfinished_ != 0 || !all_are_idle() || !archive_.is_idle() || !fleet_.is_at_rest();
  };
  while (busy() && event_count_ < kTooManyEvents) {
    const auto timer = dispatcher_.next_timer(now_);
    if (timer && (events_.empty() || *timer <= events_.top().at)) {
      now_ = std::max(now_, *timer);
      ++event_count_;
      fire_timers();
      continue;
    }
    if (events_.empty()) break;
    const Event event = events_.top();
    events_.pop();
    now_ = event.at;
    event.act();
  }
  if (busy()) problems_.emplace_back("the simulation does not come to rest: something was lost");
  let_all_expire();
  stop();
  auto wrong = verdict();
  wrong.insert(wrong.begin(), problems_.begin(), problems_.end());
  return wrong;
}

bool Simulation::all_are_idle() const {
  bool idle = dispatcher_.in_flight() == 0;
  for (std::uint32_t i = 0; i < dispatcher_.workers(); ++i) {
    idle = idle && dispatcher_.worker(i).in_flight() == 0;
  }
  return idle;
}

void Simulation::let_all_expire() {
  if (options_.ttl.count() == 0) return;
  constexpr nanoseconds kTick = milliseconds(100);
  const nanoseconds patience = 2 * options_.ttl + 4 * kTick;
  const TimePoint latest = now_ + std::chrono::minutes(1);
  TimePoint end = now_ + patience;
  for (TimePoint next = now_ + kTick; next < std::min(end, latest); next += kTick) {
    // A broken store holds up the ends of sessions, and so does a move that hangs.
    if (!archive_.is_idle() || !all_are_idle()) end = next + patience;
    while (!events_.empty() && events_.top().at <= next) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      event.act();
    }
    now_ = next;
    fire_timers();
  }
  for (const std::string& id : sessions_.list({}, sessions_.size())) {
    problems_.push_back(fmt::format("{} has not expired", id));
  }
}

void Simulation::stop() {
  dispatcher_.stop(now_);
  while (dispatcher_.end_sessions(now_)) {
  }
  if (sessions_.size() != 0 || segment_.used_bytes() != 0) {
    problems_.push_back(fmt::format("{} sessions and {} bytes of state have outlived the pool",
                                    sessions_.size(), segment_.used_bytes()));
  }
}

void Simulation::fire_timers() {
  while (dispatcher_.advance(now_)) {
  }
}

void Simulation::after(nanoseconds delay, std::function<void()> act) {
  events_.push({now_ + delay, ++event_count_, std::move(act)});
}

double Simulation::chance() { return std::uniform_real_distribution<double>()(random_); }

nanoseconds Simulation::some_time(nanoseconds mean) {
  return nanoseconds(static_cast<std::int64_t>(-std::log(1 - chance() * 0.999) *
                                               static_cast<double>(mean.count())));
}

// ---- callers ----

void Simulation::arrive_somebody() {
  auto call = std::make_unique<SimulatedCall>();
  const std::uint32_t number = some_session();
  const bool anonymous = chance() < 0.05;
  call->session_name = anonymous ? std::string() : fmt::format("session-{}", number);
  call->kind = !anonymous && chance() < 0.01 ? dispatch::CallKind::kEndSession
                                             : dispatch::CallKind::kExecute;
  if (!anonymous && chance() < 0.01) {
    call->kind = dispatch::CallKind::kReplaceSession;
    call->terms = {.ttl = options_.ttl, .durability = durability_of(number)};
  }
  if (!anonymous && chance() < 0.05) {
    call->kind = dispatch::CallKind::kReadFields;
    call->creates_session = false;
    call->all_keys = true;
  }
  call->command = chance() < options_.poison ? "kill"
                  : chance() < 0.7           ? "increment"
                  : chance() < 0.9           ? "read"
                                             : "fail";
  call->args = &call->owned_args;
  call->deadline = now_ + (chance() < 0.1 ? some_time(milliseconds(4)) : milliseconds(2'000));
  call->max_retries = chance() < 0.5 ? 3 : 0;
  call->pauses = resilience::choose_pauses(
      chance() < 0.5 ? Backoff::kLinear : Backoff::kExponential, call->max_retries, {});
  if (!anonymous && call->kind == dispatch::CallKind::kExecute && chance() < 0.2) {
    call->key = fmt::format("key-{}-{}", call->command, static_cast<int>(chance() * kKeys));
    call->idempotency_key = call->key;
    call->asked = dispatch::fingerprint_of(*call);
  }
  SimulatedCall& arriving = *call;
  calls_.push_back(std::move(call));
  do {
    arriving.session =
        anonymous
            ? session::make_session({}, now_)
            : sessions_.find_or_create(arriving.session_name, [&] { return make_session(number); })
                  .first;
  } while (!dispatcher_.arrive(arriving, now_));
  if (chance() < 0.03) after(some_time(milliseconds(3)), [&] { maybe_cancel(arriving); });
  if (calls_.size() < options_.calls) {
    after(some_time(kMeanBetweenArrivals / options_.rush), [this] { arrive_somebody(); });
  }
}

// By Zipf's law: a few sessions get most of the calls.
std::uint32_t Simulation::some_session() {
  const double power = 1 - options_.zipf;
  const double top = std::pow(options_.sessions + 1, power);
  const double rank = std::pow(1 + chance() * (top - 1), 1 / power);
  return std::min(static_cast<std::uint32_t>(rank) - 1, options_.sessions - 1);
}

Durability Simulation::durability_of(std::uint32_t session) const {
  return options_.durable && session % 2 == 0 ? Durability::kLocal : Durability::kMemory;
}

session::SessionRef Simulation::make_session(std::uint32_t number) const {
  session::SessionRef made =
      session::make_session(fmt::format("session-{}", number), now_, options_.ttl);
  made->durability = durability_of(number);
  return made;
}

void Simulation::maybe_cancel(SimulatedCall& call) {
  if (call.ended || call.reads) return;
  ++counts_.cancelled;
  dispatcher_.cancel(call, now_);
}

void Simulation::ended(Call& call) {
  if (call.kind == dispatch::CallKind::kMove) return fleet_.ended(call);
  auto& simulated = static_cast<SimulatedCall&>(call);
  simulated.ended = true;
  simulated.ended_at = now_;
  if (++simulated.times_ended == 1) --unfinished_;
  ++(simulated.result->has_value() ? counts_.ok : counts_.errors);
  if (is_unknown(simulated)) ++counts_.unknown;
  if (simulated.result->has_value() && simulated.result->value().attempts == 0 &&
      simulated.kind == dispatch::CallKind::kExecute) {
    ++counts_.again;
  }
}

// Reads in its own time, in which nothing may happen to the session.
void Simulation::turn_came(Call& call) {
  static_cast<SimulatedCall&>(call).reads = true;
  after(some_time(std::chrono::microseconds(200)),
        [this, &call, state_id = call.session->record.state_id()] {
          ++counts_.read;
          const session::Record& record = call.session->record;
          if (!record.is_resident() || record.state_id() != state_id || !is_consistent(record)) {
            problems_.push_back(fmt::format("{} changed while it was read", call.session->id()));
            return;
          }
          dispatcher_.has_read(call, dispatch::read_fields(call, [this] { return now_; }), now_);
        });
}

void Simulation::room_due() {
  after(std::chrono::microseconds(8), [this] {
    if (dispatcher_.make_room(now_)) room_due();
  });
}

void Simulation::start(std::unique_ptr<dispatch::Errand> errand) {
  if (errand->kind == dispatch::Errand::Kind::kExpire) {
    expiring_[std::string(errand->session->id())].push_back(now_);
  }
  archive_.start(std::move(errand));
}

void Simulation::hand_off_due() {
  after(std::chrono::microseconds(8), [this] {
    while (dispatcher_.hand_off(now_)) {
    }
  });
}

// ---- the verdict ----

// What was taken back did not run, and its call waited for another attempt.
void Simulation::check_recalls(std::vector<std::string>& wrong) const {
  for (const dspool::Event& event : history_.snapshot().events) {
    if (event.kind != EventKind::kAttemptEnded || event.detail != "recalled") continue;
    if (executed_.contains(event.request)) {
      wrong.push_back(fmt::format("attempt {} was taken back, and ran", event.request));
    }
  }
}

// An outage is not multiplied. No run's calls come for longer than the budget looks back.
void Simulation::check_budget(std::vector<std::string>& wrong) const {
  const RetryConfig config = retries(options_);
  const std::uint64_t least = 10 * config.budget_per_second;
  const std::uint64_t most = std::max(calls_.size() * config.budget_percent / 100, least) + least;
  if (counts_.repeated <= most) return;
  wrong.push_back(fmt::format("{} retries, not {} at most", counts_.repeated, most));
}

// Between two attempts of a call lies the pause that it was to make, where that is not drawn.
void Simulation::check_pauses(std::vector<std::string>& wrong) const {
  struct Failed {
    std::int64_t at_ns = 0;
    std::uint32_t times = 0;
  };
  if (options_.jitter) return;
  std::map<std::uint64_t, Failed> failed;
  std::map<std::uint64_t, Backoff> kinds;
  for (const auto& call : calls_) kinds[call->id] = call->pauses.kind;
  for (const dspool::Event& event : history_.snapshot().events) {
    if (event.kind == EventKind::kAttemptEnded &&
        (event.detail == "error" || event.detail == "worker_lost")) {
      Failed& last = failed[event.call];
      last = {.at_ns = event.time_ns, .times = last.times + 1};
    }
    if (event.kind != EventKind::kAttemptSent || !failed.contains(event.call)) continue;
    const Failed& last = failed[event.call];
    const nanoseconds pause(event.time_ns - last.at_ns);
    if (pause < resilience::pause_in_series(kinds[event.call], last.times, retries(options_))) {
      wrong.push_back(
          fmt::format("call {} was tried again after {} ns", event.call, pause.count()));
    }
  }
}

// A call ends two workers at most, and a session none that is quarantined.
void Simulation::check_quarantine(std::vector<std::string>& wrong) const {
  std::map<std::uint64_t, std::set<std::uint64_t>> kills;  // of each call; some are sent twice
  std::set<std::string> quarantined;
  for (const dspool::Event& event : history_.snapshot().events) {
    if (event.kind == EventKind::kSessionEnded) quarantined.erase(event.session);
    if (event.kind == EventKind::kCallEnded && event.detail == "session_quarantined") {
      quarantined.insert(event.session);
    }
    if (event.kind != EventKind::kAttemptSent) continue;
    if (quarantined.contains(event.session)) {
      wrong.push_back(fmt::format("{} was sent to {} in quarantine", event.session, event.worker));
    }
    if (!killers_.contains(event.request)) continue;
    kills[event.call].insert(event.request);
    if (kills[event.call].size() > 2) {
      wrong.push_back(fmt::format("call {} has ended a third worker", event.call));
    }
  }
}

// A session expires only when nothing has happened to it for its ttl. One that the durable store
// has ends later than it has expired: when it is gone from there.
Expiries Simulation::find_expiries(std::vector<std::string>& wrong) {
  Expiries expiries;
  std::map<std::string, std::vector<std::int64_t>> uses;
  std::map<std::int64_t, std::uint64_t> arrivals;
  const std::set<std::uint64_t> moves = fleet_.moves();
  for (const dspool::Event& event : history_.snapshot().events) {
    if (event.call != 0 && moves.contains(event.call)) continue;  // no use of the session
    if (event.kind == EventKind::kCallArrived) arrivals[event.time_ns] = event.call;
    std::vector<std::int64_t>& used = uses[event.session];
    if (event.kind != EventKind::kSessionEnded || event.detail != to_string(SessionEnd::kExpired)) {
      used.push_back(event.time_ns);
      continue;
    }
    ++counts_.expired;
    std::int64_t expired_ns = event.time_ns;
    std::deque<TimePoint>& expiring = expiring_[event.session];
    if (!expiring.empty() && expiring.front().time_since_epoch().count() <= expired_ns) {
      expired_ns = expiring.front().time_since_epoch().count();
      expiring.pop_front();
    }
    const auto next_call = arrivals.upper_bound(expired_ns);
    const bool none = next_call == arrivals.begin();
    expiries[event.session].push_back(none ? 0 : std::prev(next_call)->second);
    const auto next_use = std::ranges::upper_bound(used, expired_ns);
    const std::int64_t last_ns = next_use == used.begin() ? 0 : *std::prev(next_use);
    if (expired_ns - last_ns < nanoseconds(options_.ttl).count()) {
      wrong.push_back(fmt::format("{} expired after {} ns", event.session, expired_ns - last_ns));
    }
  }
  return expiries;
}

std::vector<std::string> Simulation::verdict() {
  std::vector<std::string> wrong = test::check_history(history_.snapshot());
  counts_.evicted = metrics_.sessions_evicted.value();
  counts_.loaded = metrics_.sessions_loaded.value();
  counts_.retried = metrics_.store_retries.value();
  counts_.warm = metrics_.warm_hits.value();
  counts_.stolen = metrics_.steals.value();
  counts_.shed = metrics_.refused_for(telemetry::Refusal::kOverloaded).value();
  counts_.recalled = metrics_.recalls.value();
  counts_.moved = fleet_.moved();
  counts_.left = fleet_.left();
  counts_.repeated = metrics_.retries.value();
  counts_.over_budget = metrics_.retries_over_budget.value();
  counts_.broken = metrics_.refused_for(telemetry::Refusal::kCircuitOpen).value();
  check_recalls(wrong);
  check_pauses(wrong);
  check_budget(wrong);
  counts_.killed = killers_.size();
  counts_.quarantined_calls = metrics_.calls_quarantined.value();
  counts_.quarantined_sessions = metrics_.sessions_quarantined.value();
  check_quarantine(wrong);
  if (dispatcher_.in_flight() != 0 || dispatcher_.waiting_calls() != 0) {
    wrong.push_back(fmt::format("at rest, {} attempts are in flight and {} calls wait",
                                dispatcher_.in_flight(), dispatcher_.waiting_calls()));
  }
  for (std::uint32_t i = 0; i < dispatcher_.workers(); ++i) {
    if (dispatcher_.worker(i).in_flight() != 0) {
      wrong.push_back(fmt::format("a slot of {} was lost", names_[i]));
    }
  }
  Expiries expiries = find_expiries(wrong);
  for (const auto& call : calls_) {
    if (call->times_ended != 1) {
      wrong.push_back(fmt::format("call {} ended {} times", call->id, call->times_ended));
      continue;
    }
    if (call->ended_at > call->deadline + kLateness) {
      wrong.push_back(fmt::format("call {} ended {} ns after its deadline", call->id,
                                  (call->ended_at - call->deadline).count()));
    }
  }
  const std::vector<std::string> told = check_answers(calls_, std::move(expiries));
  wrong.insert(wrong.end(), told.begin(), told.end());
  return wrong;
}

}  // namespace dspool::sim
