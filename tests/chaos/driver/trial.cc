#include "tests/chaos/driver/trial.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "tests/chaos/driver/clock.h"
#include "tests/chaos/driver/lateness.h"
#include "tests/chaos/driver/leftovers.h"
#include "tests/chaos/driver/sampler.h"
#include "tests/chaos/driver/termination.h"
#include "tests/chaos/driver/workload.h"

namespace dspool::chaos {
namespace {

using std::chrono::milliseconds;

// How long after its deadline a call may end. Sanitizers cost ten times as much.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::int64_t kBoundMs = 1'000;
#else
constexpr std::int64_t kBoundMs = 100;
#endif

constexpr milliseconds kSlice{10};
constexpr milliseconds kBreakerTimeout{100};
constexpr int kSoakPace = 5;  // faults of a soak strike so many times less often, or all lie dead
constexpr std::size_t kHistoryEvents = std::size_t{1} << 22;

std::string python() {
  const char* named = std::getenv("DSPOOL_PYTHON");
  return named != nullptr ? named : "/usr/bin/python3";
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    out.append(out.size() > 1 ? "," : "").append(Value::of(text).to_json());
  }
  return out + "]";
}

// A fault at work, on a thread of its own.
class Striker {
 public:
  // `fault` outlives *this.
  Striker(Fault& fault, const Scene& scene, milliseconds interval) noexcept
      : fault_(fault), scene_(scene), interval_(interval), thread_([this] { run(); }) {}
  ~Striker() { thread_.join(); }
  [[nodiscard]] bool has_ended() const noexcept { return has_ended_; }
  Striker(const Striker&) = delete;
  Striker& operator=(const Striker&) = delete;

 private:
  void run() {
    const auto interval = static_cast<std::uint64_t>(interval_.count());
    while (scene_.pause(milliseconds(1 + scene_.below(2 * interval)))) fault_.strike(scene_);
    fault_.relent(scene_);
    has_ended_ = true;
  }

  Fault& fault_;
  Scene scene_;
  milliseconds interval_;
  std::atomic<bool> has_ended_ = false;
  std::thread thread_;
};

class Trial {
 public:
  explicit Trial(const TrialTerms& terms)
      : terms_(terms),
        calls_(terms.soak ? "/dev/null" : terms.directory / "calls.jsonl"),
        strikes_(terms.directory / "strikes.jsonl"),
        log_(terms.directory / "engine.log"),
        findings_(terms.directory),
        sessions_(Workload::names(terms.sessions)) {
    faults_.reserve(terms.faults.size());
    for (const FaultKind* kind : terms.faults) faults_.push_back(kind->make());
    durable_ = terms.durable ||
               std::ranges::any_of(faults_, [](const auto& fault) { return fault->needs_store(); });
  }

  int run() {
    adopt_orphans();
    watch_for_termination();
    config_ = make_config();
    for (const auto& fault : faults_) fault->configure(config_);
    write_run();
    warm_up();
    const test::HeldResources before = test::held_resources();
    {
      const JsonLines lateness_lines(terms_.directory / "lateness.jsonl");
      const Lateness lateness(lateness_lines);
      auto started = Engine::start(config_);
      if (!started) {
        std::fprintf(stderr, "%s\n", started.error().describe().c_str());
        return 1;
      }
      std::unique_ptr<Engine> engine = std::move(*started);
      engine->wait_until_ready(terms_.patience);
      Caller caller(*engine, calls_);
      if (!let_it_happen(*engine, caller)) give_up(*engine, caller);
      if (asked_to_terminate()) {
        stop_under_load(std::move(engine), caller);
      } else {
        look_at_rest(*engine, caller);
        write_events(*engine);
      }
    }
    for (const auto& fault : faults_) fault->look_back(terms_.directory, findings_);
    const Leftovers left = look_for_leftovers(terms_.patience, before);
    rest_.raw("processes", list_of(left.processes))
        .number("descriptors_before", before.descriptors)
        .number("descriptors_after", left.held.descriptors)
        .number("mappings_before", before.mappings)
        .number("mappings_after", left.held.mappings);
    write_rest();
    return 0;
  }

 private:
  [[nodiscard]] Config make_config() const {
    Config config;
    config.pool_size = terms_.pool_size;
    config.overflow = 0;
    config.history_events = terms_.soak ? 0 : kHistoryEvents;
    config.log_level = LogLevel::kInfo;
    config.log_sink = [this](LogLevel, std::string_view line) { log_.write(std::string(line)); };
    config.worker.adapter = "ledger:Ledger";
    config.worker.max_in_flight = terms_.max_in_flight;
    if (terms_.forks) config.worker.start_method = StartMethod::kForkServer;
    // What kills workers and fails calls here goes on, and so does the pool.
    config.worker.max_restarts = 0;
    config.circuit_breaker.enabled = terms_.breaks;
    config.circuit_breaker.timeout = kBreakerTimeout;
    config.worker.python = python();
    config.worker.python_path = {DSPOOL_CHAOS_ADAPTERS};
    config.worker.ring_bytes = WorkerConfig::kLeastRingBytes;
    config.worker.slab_bytes = WorkerConfig::kLeastRingBytes;
    if (durable_) {
      config.store.path = (terms_.directory / "store").string();
      config.session.durability = Durability::kLocal;
    }
    return config;
  }

  // What libraries open once stays open.
  void warm_up() const {
    Config config = config_;
    config.pool_size = 1;
    if (durable_) config.store.path = (terms_.directory / "warm_up_store").string();
    static_cast<void>(Engine::start(config));
  }

  // false: there are calls that do not end.
  bool let_it_happen(Engine& engine, Caller& caller) {
    std::optional<Sampler> sampler;
    if (terms_.soak) sampler.emplace(engine, terms_.directory);
    std::mt19937_64 seeds(terms_.seed);
    std::vector<std::unique_ptr<Striker>> strikers;
    for (const auto& fault : faults_) {
      strikers.push_back(
          std::make_unique<Striker>(*fault,
                                    Scene{.engine = engine,
                                          .caller = caller,
                                          .sessions = sessions_,
                                          .pool_size = terms_.pool_size,
                                          .random = std::mt19937_64(seeds()),
                                          .over = over_,
                                          .strikes = strikes_,
                                          .findings = findings_},
                                    fault->interval() * (terms_.soak ? kSoakPace : 1)));
    }
    auto workload = std::make_unique<Workload>(
        caller,
        Workload::Terms{.seed = seeds(), .callers = terms_.callers, .sessions = terms_.sessions});
    const auto ends = Clock::now() + terms_.duration;
    while (Clock::now() < ends && !asked_to_terminate()) {
      std::this_thread::sleep_for(std::min<Clock::duration>(kSlice, ends - Clock::now()));
    }
    sampler.reset();
    workload->stop();
    over_ = true;
    const auto all_came_back = [&] {
      return workload->at_work() == 0 && std::ranges::all_of(strikers, &Striker::has_ended);
    };
    wait_for(all_came_back);
    if (!all_came_back()) {  // their threads cannot be joined
      static_cast<void>(workload.release());
      for (auto& striker : strikers) static_cast<void>(striker.release());
      return false;
    }
    workload.reset();
    strikers.clear();
    return asked_to_terminate() || caller.wait_for_at_most(0, terms_.patience);
  }

  // Callers hang in the engine, which therefore cannot be stopped: what is known is told.
  [[noreturn]] void give_up(Engine& engine, Caller& caller) {
    rest_.number("calls_that_hang", static_cast<std::int64_t>(caller.outstanding()));
    write_events(engine);
    write_rest();
    for (const WorkerHealth& worker : engine.health_check(milliseconds(0)).workers) {
      std::fprintf(stderr, "%s: %s\n", worker.worker.c_str(),
                   std::string(to_string(worker.status)).c_str());
    }
    std::_Exit(0);  // the workers end with this process
  }

  // Nobody blocks in the engine any more; what was submitted ends as the engine does. Its history
  // goes with it, so what is known is what had happened when it began to stop.
  void stop_under_load(std::unique_ptr<Engine> engine, Caller& caller) {
    rest_.number("stopped_ns", now_ns());
    write_events(*engine);
    engine.reset();
    rest_.number("calls_that_hang", static_cast<std::int64_t>(caller.outstanding()));
  }

  template <typename Condition>
  void wait_for(Condition condition) const {
    const auto until = Clock::now() + terms_.patience;
    while (!condition() && Clock::now() < until) std::this_thread::sleep_for(milliseconds(5));
  }

  void look_at_rest(Engine& engine, Caller& caller) {
    wait_for([&] {
      const Stats stats = engine.stats();
      return stats.attempts_in_flight == 0 && stats.waiting_calls == 0 &&
             stats.available_workers == terms_.pool_size;
    });
    for (const std::string& session : sessions_) {
      const CallOptions options{.create_session = false};
      static_cast<void>(caller.call(
          {.kind = Operation::Kind::kReadFields, .session = session, .options = options}));
      static_cast<void>(caller.call({.session = session,
                                     .command = "read",
                                     .token = caller.new_token(),
                                     .options = options}));
    }
    if (const auto sessions = engine.list_sessions()) {
      for (const std::string& session : *sessions) {
        static_cast<void>(caller.call({.kind = Operation::Kind::kEndSession, .session = session}));
      }
    }
    wait_for([&] {
      const Stats stats = engine.stats();
      return stats.attempts_in_flight == 0 && stats.state_bytes == 0;
    });
    const Stats stats = engine.stats();
    rest_.number("calls_that_hang", 0)
        .number("waiting_calls", static_cast<std::int64_t>(stats.waiting_calls))
        .number("attempts_in_flight", static_cast<std::int64_t>(stats.attempts_in_flight))
        .number("state_bytes", static_cast<std::int64_t>(stats.state_bytes))
        .number("active_sessions", static_cast<std::int64_t>(stats.active_sessions))
        .number("active_workers", stats.active_workers)
        .number("commits", static_cast<std::int64_t>(stats.commits))
        .number("late_answers", static_cast<std::int64_t>(stats.late_answers))
        .number("migrations", static_cast<std::int64_t>(stats.migrations))
        .number("expired_sessions", static_cast<std::int64_t>(stats.expired_sessions));
  }

  void write_events(const Engine& engine) {
    const JsonLines events(terms_.directory / "events.jsonl");
    const History history = engine.history();
    for (const Event& event : history.events) events.write(event.to_json());
    rest_.number("events_dropped", static_cast<std::int64_t>(history.dropped));
  }

  void write_run() const {
    std::vector<std::string> names;
    names.reserve(terms_.faults.size());
    for (const FaultKind* kind : terms_.faults) names.emplace_back(kind->name);
    JsonObject run;
    run.number("seed", static_cast<std::int64_t>(terms_.seed))
        .raw("faults", list_of(names))
        .number("duration_ms", terms_.duration.count())
        .number("pool_size", terms_.pool_size)
        .number("bound_ms", kBoundMs)
        .number("ttl_ms", config_.session.ttl.count())
        .raw("durable", durable_ ? "true" : "false")
        .number("begun_ns", now_ns());
    JsonLines(terms_.directory / "run.json").write(std::move(run).take());
  }

  void write_rest() { JsonLines(terms_.directory / "rest.json").write(std::move(rest_).take()); }

  const TrialTerms& terms_;
  const JsonLines calls_;
  const JsonLines strikes_;
  const JsonLines log_;
  const Findings findings_;
  const std::vector<std::string> sessions_;
  std::vector<std::unique_ptr<Fault>> faults_;
  bool durable_ = false;
  Config config_;
  std::atomic<bool> over_ = false;
  JsonObject rest_;
};

}  // namespace

int run_trial(const TrialTerms& terms) { return Trial(terms).run(); }

}  // namespace dspool::chaos
