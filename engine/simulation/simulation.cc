#include "engine/simulation/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace dspool::simulation {
namespace {

using dispatch::TimePoint;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// No session has fields: that it has a state is enough.
constexpr std::size_t kStateBytes = std::size_t{1} << 20;
constexpr std::string_view kNoField = "field";

constexpr TimePoint kStart{std::chrono::hours(1)};
// The dispatcher does not watch for what is due so late.
constexpr std::chrono::hours kPatience{100 * 365 * 24};
constexpr TimePoint kNoDeadline{2 * kPatience};

constexpr std::uint64_t kEventsPerProgress = 16'384;

// The queue is as long as was asked for; by default nobody is refused, and nobody gives up.
dispatch::Limits limits_of(const Options& options, Policy policy) {
  constexpr std::uint32_t kUnlimited = std::numeric_limits<std::uint32_t>::max();
  dispatch::Limits limits;
  limits.session_queue = kUnlimited;
  limits.queue = options.queue.value_or(kUnlimited);
  limits.checkout_timeout = kPatience;
  limits.sheds_overload = false;
  switch (policy) {
    case Policy::kCentral:
      limits.affinity = Affinity::kOff;
      break;
    case Policy::kPinned:
      limits.affinity = Affinity::kPinned;
      break;
    case Policy::kStealAtOnce:
      limits.longest_wait_for_warm = milliseconds(0);
      break;
    case Policy::kDspool:
      break;
  }
  return limits;
}

nanoseconds miss_of(const Options& options, Policy policy) {
  if (policy == Policy::kCentral) return nanoseconds(0);
  return nanoseconds(std::llround(options.miss_ms * 1e6));
}

std::vector<std::string> names_of(std::uint32_t workers) {
  std::vector<std::string> names;
  names.reserve(workers);
  for (std::uint32_t i = 0; i < workers; ++i) names.push_back(fmt::format("worker-{}", i));
  return names;
}

}  // namespace

Simulation::SimulatedCall::SimulatedCall(std::uint32_t at, const Job& job)
    : place(at), name(fmt::to_string(at)), session_number(job.session), service(job.service) {
  command = name;
}

Simulation::Simulation(const Options& options, Policy policy, Workload& workload)
    : miss_(miss_of(options, policy)),
      workload_(workload),
      names_(names_of(options.workers)),
      now_(kStart),
      end_(kStart + workload.duration()),
      segment_(kStateBytes),
      store_(kStateBytes, segment_),
      sessions_(workload.sessions()),
      dispatcher_(limits_of(options, policy),
                  {.transport = *this,
                   .store = store_,
                   .archive = nullptr,
                   .listener = *this,
                   .sessions = no_table_,
                   .tombstones = tombstones_,
                   .metrics = metrics_,
                   .history = history_},
                  names_, options.seed, now_),
      free_from_(options.workers, now_) {
  report_.policy = policy;
  report_.workers = options.workers;
  report_.duration = workload.duration();
  for (std::uint32_t i = 0; i < options.workers; ++i) dispatcher_.worker_ready(i, i + 1, now_);
}

Report Simulation::run(const Progress& progress) {
  std::optional<Job> next = workload_.next();
  for (std::uint64_t events = 1; next || !answers_.empty(); ++events) {
    if (events % kEventsPerProgress == 0) {
      const nanoseconds done = std::min(now_, end_) - kStart;
      if (!report_.stopped_early && !progress(static_cast<double>(done.count()) /
                                              static_cast<double>(workload_.duration().count()))) {
        next.reset();
        stop();
      }
    }
    const TimePoint arrival = next ? kStart + next->at : TimePoint::max();
    const TimePoint ready = answers_.empty() ? TimePoint::max() : answers_.top().at;
    const std::optional<TimePoint> timer = dispatcher_.next_timer(now_);
    if (timer && *timer < std::min(arrival, ready)) {
      now_ = std::max(now_, *timer);
      while (dispatcher_.advance(now_)) continue;
    } else if (arrival <= ready) {
      now_ = arrival;
      arrive(*next);
      next = workload_.next();
    } else {
      const Answer ended = answers_.top();
      answers_.pop();
      now_ = ended.at;
      answer(ended);
    }
    hand_off();
  }
  assert(dispatcher_.waiting_calls() == 0 && dispatcher_.in_flight() == 0);
  return report_;
}

void Simulation::arrive(const Job& job) {
  ++report_.calls;
  if (free_calls_.empty()) {
    free_calls_.push_back(static_cast<std::uint32_t>(calls_.size()));
    calls_.emplace_back();
  }
  const std::uint32_t place = free_calls_.back();
  free_calls_.pop_back();
  SimulatedCall& call = calls_[place].emplace(place, job);
  call.args = &no_args_;
  call.deadline = kNoDeadline;
  do {
    call.session = session::SessionRef(&session_of(job.session));
  } while (!dispatcher_.arrive(call, now_));
}

session::Session& Simulation::session_of(std::uint32_t number) {
  session::SessionRef& session = sessions_[number];
  if (!session || session->phase == session::Phase::kGone) {
    session = session::make_session(fmt::format("session-{}", number), now_);
  }
  return *session;
}

// The worker takes what it is sent in order, one after the other.
dispatch::Sent Simulation::send(std::uint32_t worker, const dispatch::Request& request) {
  std::uint32_t place = 0;
  std::from_chars(request.command.data(), request.command.data() + request.command.size(), place);
  SimulatedCall& call = *calls_[place];
  if (request.state->version() != 0) ++(request.hydrate ? report_.cold : report_.warm);
  const nanoseconds hydration = request.hydrate ? miss_ : nanoseconds(0);
  const nanoseconds service = call.service + hydration;
  call.began = std::max(now_, free_from_[worker]);
  const TimePoint done = call.began + service;
  free_from_[worker] = done;
  report_.busy += std::max(nanoseconds(0), std::min(done, end_) - std::min(call.began, end_));
  answers_.push({.at = done,
                 .sequence = ++sent_,
                 .request_id = request.request_id,
                 .service = service,
                 .hydration = hydration,
                 .worker = worker,
                 .attempt = request.attempt});
  return dispatch::Sent::kSent;
}

void Simulation::answer(const Answer& answer) {
  outcome_.attempt = answer.attempt;
  outcome_.service_ns = answer.service.count();
  outcome_.hydration_ns = answer.hydration.count();
  outcome_.delta.deletes.assign(1, kNoField);  // makes a version, and takes no memory
  [[maybe_unused]] const bool believed =
      dispatcher_.answered(answer.worker, answer.request_id, outcome_, now_);
  assert(believed);
}

void Simulation::ended(dispatch::Call& ended) {
  auto& call = static_cast<SimulatedCall&>(ended);
  if (call.result->has_value()) {
    report_.wait.record(call.began - call.arrived);
    report_.latency.record(now_ - call.arrived);
  } else if (!report_.stopped_early) {
    ++report_.refused;
  }
  call.result.reset();
  free_calls_.push_back(call.place);
}

// At once, where the engine's threads take some microseconds for it.
void Simulation::hand_off() {
  while (std::exchange(hand_off_due_, false)) {
    while (dispatcher_.hand_off(now_)) continue;
  }
}

// Nothing more arrives, and nobody waits any longer; what runs ends, but is counted until now only.
void Simulation::stop() {
  report_.stopped_early = true;
  const TimePoint stopped = std::min(now_, end_);
  for (auto running = answers_; !running.empty(); running.pop()) {
    const TimePoint done = std::min(running.top().at, end_);
    const TimePoint began = std::max(running.top().at - running.top().service, stopped);
    report_.busy -= std::max(nanoseconds(0), done - began);
  }
  end_ = stopped;
  report_.duration = end_ - kStart;
  dispatcher_.stop(now_);
}

}  // namespace dspool::simulation
