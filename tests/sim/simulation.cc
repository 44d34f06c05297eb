#include "tests/sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/dispatch/read_fields.h"
#include "tests/support/history_checker.h"

namespace dspool::sim {
namespace {

using dispatch::Outcome;
using dispatch::OutcomeStatus;
using dispatch::Sent;
using std::chrono::milliseconds;

constexpr nanoseconds kMeanService = milliseconds(2);
constexpr nanoseconds kMeanBetweenArrivals = std::chrono::microseconds(900);
constexpr nanoseconds kMeanBetweenDeaths = milliseconds(60);
constexpr nanoseconds kMissCost = milliseconds(3);
constexpr milliseconds kGrace{40};
constexpr std::size_t kRingRoom = 6;
constexpr int kKeys = 3;  // for each session and command
constexpr std::size_t kCacheRoom = 8;
// The wheel's tick, and the step that an event may take.
constexpr nanoseconds kLateness = milliseconds(3);

dispatch::Limits limits(const Options& options) {
  return {.max_in_flight = options.max_in_flight,
          .pipeline = 8,
          .session_queue = 64,
          .queue = 200 * options.rush,
          .checkout_timeout = milliseconds(options.rush > 1 ? 1'000 : 150),
          .cancel_grace = kGrace,
          .affinity = options.affinity,
          .session_ttl = options.ttl};
}

std::vector<std::string> names(std::uint32_t count) {
  std::vector<std::string> result;
  for (std::uint32_t i = 0; i < count; ++i) result.push_back(fmt::format("sim-{}", i));
  return result;
}

std::uint64_t value_of(const session::Record& record) {
  const session::Field* field = record.find("value");
  if (field == nullptr) return 0;
  return static_cast<std::uint64_t>(field->value().as_int64());
}

// Each increment puts "value" and appends it to "log".
bool is_consistent(const session::Record& record) {
  const session::Field* log = record.find("log");
  return value_of(record) == (log != nullptr ? log->value().size() : 0);
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
      names_(names(options.workers)),
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
      workers_(options.workers) {}

Simulation::~Simulation() = default;

std::vector<std::string> Simulation::run() {
  for (std::uint32_t i = 0; i < options_.workers; ++i) {
    after(some_time(milliseconds(5)), [this, i] { make_ready(i); });
    after(some_time(kMeanBetweenDeaths * options_.workers), [this, i] { die(i); });
  }
  unfinished_ = options_.calls;
  after(nanoseconds(0), [this] { arrive_somebody(); });
  constexpr std::uint64_t kTooManyEvents = 10'000'000;
  const auto busy = [this] { return unfinished_ != 0 || !all_are_idle() || !archive_.is_idle(); };
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
  for (std::uint32_t i = 0; i < options_.workers; ++i) {
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
    if (!archive_.is_idle()) end = next + patience;  // a broken store holds up the ends of sessions
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

// ---- workers ----

void Simulation::make_ready(std::uint32_t worker) {
  workers_[worker] = {.epoch = ++epochs_};
  dispatcher_.worker_ready(worker, epochs_, now_);
}

void Simulation::die(std::uint32_t worker) {
  Worker& w = workers_[worker];
  if (unfinished_ != 0) {
    after(some_time(kMeanBetweenDeaths * options_.workers), [this, worker] { die(worker); });
  }
  if (w.epoch != 0) perish(worker);
}

void Simulation::perish(std::uint32_t worker) {
  ++counts_.deaths;
  // What it has begun is known until another is there in its place.
  workers_[worker] = {.claimed = workers_[worker].claimed};
  if (chance() < 0.5) dispatcher_.hung_up(worker, now_);
  dispatcher_.worker_lost(worker, dispatch::Loss::kDeath, "killed by SIGKILL", now_);
  after(some_time(milliseconds(20)), [this, worker] { make_ready(worker); });
}

void Simulation::kill(std::uint32_t worker, std::string_view) {
  after(std::chrono::microseconds(100), [this, worker, epoch = workers_[worker].epoch] {
    if (workers_[worker].epoch == epoch) die(worker);
  });
}

void Simulation::cancel(std::uint32_t, std::uint64_t) {}  // it answers in its own time

std::uint64_t Simulation::begun(std::uint32_t worker) { return workers_[worker].claimed; }

// At times the worker is about to begin one: it has claimed it, and sees that it was recalled.
std::uint64_t Simulation::recall(std::uint32_t worker) {
  Worker& w = workers_[worker];
  w.recalled = w.received;
  if (w.claimed < w.received && chance() < 0.2) {
    ++w.claimed;
    ++counts_.in_doubt;
  }
  return w.claimed;
}

Sent Simulation::send(std::uint32_t worker, const dispatch::Request& request) {
  Worker& w = workers_[worker];
  if (w.epoch == 0) {
    problems_.push_back(fmt::format("{} was sent a request while dead", names_[worker]));
    return Sent::kSent;
  }
  const bool idle = w.ring.empty() && w.running == 0;
  const session::Session* const alone = dispatcher_.worker(worker).kept_for;
  if (!idle && !request.session.empty() && alone != nullptr && alone->id() == request.session) {
    problems_.push_back(fmt::format("{} is to be alone, and is not", request.session));
  }
  if (w.ring.size() >= kRingRoom || (!idle && chance() < 0.01)) {
    ++counts_.full;
    return Sent::kFull;
  }
  if (request.hydrate && !is_consistent(*request.state)) {
    problems_.push_back(fmt::format("a part of {}'s state is missing", request.session));
  }
  w.ring.push_back({.request_id = request.request_id,
                    .order = ++w.received,
                    .attempt = request.attempt,
                    .session = std::string(request.session),
                    .command = std::string(request.command),
                    .version = request.state->version(),
                    .state_id = request.state->state_id(),
                    .hydrated = request.hydrate,
                    .value = request.hydrate ? value_of(*request.state) : 0,
                    .deadline = request.deadline});
  begin_next(worker);
  return Sent::kSent;
}

void Simulation::begin_next(std::uint32_t worker) {
  Worker& w = workers_[worker];
  if (w.running == options_.max_in_flight || w.ring.empty()) return;
  ++w.running;
  const Received received = w.ring.front();
  w.ring.pop_front();
  w.claimed = std::max(w.claimed, received.order);
  if (received.order <= w.recalled) return skip(worker, received, OutcomeStatus::kRecalled);
  if (received.deadline <= now_) {
    ++counts_.skipped;
    return skip(worker, received, OutcomeStatus::kCancelled);
  }
  if (chance() < 0.005) return;  // hangs until it is killed
  // Sometimes so short that the pipeline opens.
  const nanoseconds service = some_time(chance() < 0.5 ? kMeanService : kMeanService / 50);
  after(service, [this, worker, epoch = w.epoch, received] { finish(worker, epoch, received); });
}

void Simulation::skip(std::uint32_t worker, const Received& received, OutcomeStatus status) {
  after(nanoseconds(1), [this, worker, epoch = workers_[worker].epoch, received, status] {
    if (workers_[worker].epoch != epoch) return;
    Outcome outcome;
    outcome.status = status;
    outcome.attempt = received.attempt;
    answer(worker, received.request_id, outcome);
  });
}

void Simulation::finish(std::uint32_t worker, std::uint64_t epoch, const Received& received) {
  Worker& w = workers_[worker];
  if (w.epoch != epoch) return;  // it died in between
  Outcome outcome;
  outcome.attempt = received.attempt;
  outcome.service_ns = kMeanService.count() / 50;
  outcome.hydration_ns = received.hydrated ? kMissCost.count() : 0;
  std::vector<std::uint8_t> encoded;
  std::vector<std::uint8_t> logged;
  Cached& cached = w.cache[received.session];
  if (received.session.empty()) cached = {};
  const bool has = cached.version == received.version && cached.state_id == received.state_id;
  if (!has && !received.hydrated && received.version != 0) {
    outcome.status = OutcomeStatus::kNeedState;
    ++counts_.need_state;
  } else {
    executed_.insert(received.request_id);
    if (received.command == "kill") {
      // Who ends a worker that is being given up is taken for its victim.
      const bool is_stuck = dispatcher_.worker(worker).stuck_since != TimePoint{};
      if (!is_stuck) killers_.insert(received.request_id);
      return perish(worker);
    }
    if (!has) {
      cached = {
          .version = received.version, .state_id = received.state_id, .value = received.value};
    }
    if (received.command == "fail") {
      outcome.status = OutcomeStatus::kError;
      outcome.error = Error{.category = ErrorCategory::kPython,
                            .code = "exception",
                            .message = "simulated",
                            .retryable = chance() < 0.5};
    } else if (received.command == "increment") {
      ++cached.value;
      ++cached.version;
      cached.state_id = received.request_id;
      const Value value = Value::of(cached.value);
      encoded.assign(value.bytes().begin(), value.bytes().end());
      outcome.delta.puts.push_back({.key = "value", .value = encoded});
      const Value entry = Value::list({cached.value});
      logged.assign(entry.bytes().begin(), entry.bytes().end());
      auto& log = cached.version == 1 ? outcome.delta.puts : outcome.delta.appends;
      log.insert(log.begin(), {.key = "log", .value = logged});
    }
    const Value answer = Value::of(cached.value);
    outcome.result.assign(answer.bytes().begin(), answer.bytes().end());
  }
  if (chance() < 0.02) {
    outcome.not_kept = true;
    w.cache.erase(received.session);
  }
  if (w.cache.size() > kCacheRoom) w.cache.erase(w.cache.begin());
  answer(worker, received.request_id, outcome);
}

void Simulation::answer(std::uint32_t worker, std::uint64_t request_id, Outcome& outcome) {
  --workers_[worker].running;
  if (!dispatcher_.answered(worker, request_id, outcome, now_)) {
    problems_.push_back(fmt::format("{}'s honest answer was not believed", names_[worker]));
  }
  begin_next(worker);
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
  for (const dspool::Event& event : history_.snapshot().events) {
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
  counts_.killed = killers_.size();
  counts_.quarantined_calls = metrics_.calls_quarantined.value();
  counts_.quarantined_sessions = metrics_.sessions_quarantined.value();
  check_recalls(wrong);
  check_quarantine(wrong);
  if (dispatcher_.in_flight() != 0 || dispatcher_.waiting_calls() != 0) {
    wrong.push_back(fmt::format("at rest, {} attempts are in flight and {} calls wait",
                                dispatcher_.in_flight(), dispatcher_.waiting_calls()));
  }
  for (std::uint32_t i = 0; i < options_.workers; ++i) {
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
