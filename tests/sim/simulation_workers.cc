// The simulated workers, and the transport to them.
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/simulated_state.h"
#include "tests/sim/simulation.h"

namespace dspool::sim {
namespace {

using dispatch::Outcome;
using dispatch::OutcomeStatus;
using dispatch::Sent;
using std::chrono::milliseconds;

constexpr nanoseconds kMeanService = milliseconds(2);
constexpr nanoseconds kMeanStart = milliseconds(20);
constexpr nanoseconds kMeanBetweenDeaths = milliseconds(60);
constexpr nanoseconds kMeanBetweenChanges = milliseconds(8);
constexpr nanoseconds kReap = std::chrono::microseconds(100);
constexpr nanoseconds kPatience = milliseconds(80);  // with one that was told to end
constexpr nanoseconds kMissCost = milliseconds(3);
constexpr std::size_t kRingRoom = 6;
constexpr std::size_t kCacheRoom = 8;

}  // namespace

// ---- processes ----

void Simulation::start_in(std::uint32_t place) { start_soon(place, kMeanStart); }

void Simulation::start_soon(std::uint32_t place, nanoseconds mean) {
  Place& p = places_[place];
  p.wanted = true;
  after(some_time(mean), [this, place, start = ++p.starts] {
    if (places_[place].wanted && places_[place].starts == start) make_ready(place);
  });
}

void Simulation::make_ready(std::uint32_t worker) {
  workers_[worker] = {.epoch = ++epochs_};
  dispatcher_.worker_ready(worker, epochs_, now_);
}

void Simulation::die_by_chance(std::uint32_t worker) {
  const double mean = static_cast<double>(kMeanBetweenDeaths.count()) * options_.workers;
  after(some_time(nanoseconds(static_cast<std::int64_t>(mean / options_.deaths))), [this, worker] {
    die(worker);
    if (unfinished_ != 0) die_by_chance(worker);
  });
}

void Simulation::die(std::uint32_t worker) {
  if (workers_[worker].epoch == 0) return;
  ++counts_.deaths;
  if (chance() < 0.5) dispatcher_.hung_up(worker, now_);
  bury(worker, "killed by SIGKILL");
}

void Simulation::bury(std::uint32_t worker, std::string_view how) {
  // What it has begun is known until another is there in its place.
  workers_[worker] = {.claimed = workers_[worker].claimed};
  dispatcher_.worker_lost(worker, dispatch::Loss::kDeath, how, now_);
  if (places_[worker].wanted) {
    start_soon(worker, kMeanStart);
  } else {
    after(kReap, [this, worker] { fleet_.vacated(worker); });
  }
}

void Simulation::retire(std::uint32_t place, bool was_told) {
  Worker& w = workers_[place];
  places_[place] = {.wanted = false, .starts = places_[place].starts + 1};
  if (w.epoch == 0) return after(kReap, [this, place] { fleet_.vacated(place); });
  if (!was_told) return kill(place, "it cannot be told to end");
  w.is_told_to_end = true;
  after(kPatience, [this, place, epoch = w.epoch] {
    if (workers_[place].epoch == epoch) die(place);
  });
  end_if_done(place);
}

// It was told behind all that it had been sent before.
void Simulation::end_if_done(std::uint32_t worker) {
  const Worker& w = workers_[worker];
  if (!w.is_told_to_end || !w.ring.empty() || w.running != 0) return;
  after(kReap, [this, worker, epoch = w.epoch] {
    if (workers_[worker].epoch == epoch) bury(worker, "it has ended");
  });
}

void Simulation::change_fleet() {
  after(some_time(kMeanBetweenChanges), [this] {
    fleet_.ask_for_something();
    if (unfinished_ != 0) change_fleet();
  });
}

void Simulation::kill(std::uint32_t worker, std::string_view) {
  after(std::chrono::microseconds(100), [this, worker, epoch = workers_[worker].epoch] {
    if (workers_[worker].epoch == epoch) die(worker);
  });
}

// ---- channels ----

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
  if (fleet_.is_drained(worker) && !w.asking.contains(request.request_id)) {
    problems_.push_back(fmt::format("{} was sent a request after it was drained", names_[worker]));
  }
  const bool idle = w.ring.empty() && w.running == 0;
  const session::Session* const alone = dispatcher_.worker(worker).kept_for;
  const bool is_alone = alone != nullptr && alone->id() == request.session;
  if (!idle && !request.session.empty() && is_alone) {
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
  if (!is_alone && !w.asking.contains(request.request_id)) note_turn();
  begin_next(worker);
  return Sent::kSent;
}

// Others are preferred to the oldest for being warm 63 times at most. Whoever had waited for one
// worker before keeps its place there, and so does one that a full ring has sent back.
void Simulation::note_turn() {
  const session::Session* const session = dispatcher_.oldest_waiting();
  if (session == nullptr || options_.affinity == Affinity::kPinned) {
    oldest_ = {};
    return;
  }
  const auto& call = static_cast<const Call&>(session->queue.front());
  if (call.id != oldest_.call) {
    const auto expecting = std::ranges::count_if(calls_, [](const auto& other) {
      return !other->ended && other->session->phase == session::Phase::kWaiting &&
             other->session->expects != session::kNoWorker &&
             &other->session->queue.front() == other.get();
    });
    const std::uint32_t turns =
        options_.affinity == Affinity::kHint ? dispatch::WaitingList::kOldestEvery : 1;
    oldest_ = {.call = call.id, .limit = turns + static_cast<std::uint32_t>(expecting)};
    return;
  }
  ++oldest_.times;
  counts_.overtaken = std::max<std::uint64_t>(counts_.overtaken, oldest_.times);
  if (oldest_.times == oldest_.limit + 1) {
    problems_.push_back(fmt::format("call {} was overtaken {} times", oldest_.call, oldest_.times));
  }
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
  if (chance() < 0.005 * options_.deaths) return;  // hangs until it is killed
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
    w.asking.insert(received.request_id);
    ++counts_.need_state;
  } else {
    executed_.insert(received.request_id);
    if (received.command == "kill") {
      // Who ends a worker that is being given up is taken for its victim.
      const dispatch::WorkerSlot& slot = dispatcher_.worker(worker);
      if (slot.stuck_since == TimePoint{} && !slot.is_retired) killers_.insert(received.request_id);
      return die(worker);
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
                            .retryable = chance() < 0.5,
                            .provider = options_.breaks ? "simulated" : ""};
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
  end_if_done(worker);
}

}  // namespace dspool::sim
