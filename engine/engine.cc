// Wires the engine's parts together. What happens in them is written in their own files.
#include "dspool/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/dispatch/archivist.h"
#include "engine/dispatch/census.h"
#include "engine/dispatch/errors.h"
#include "engine/dispatch/front.h"
#include "engine/dispatch/gate.h"
#include "engine/dispatch/health_monitor.h"
#include "engine/dispatch/language_model.h"
#include "engine/dispatch/mover.h"
#include "engine/dispatch/observers.h"
#include "engine/dispatch/prober.h"
#include "engine/dispatch/reactor.h"
#include "engine/dispatch/statistics.h"
#include "engine/dispatch/steward.h"
#include "engine/session/session.h"
#include "engine/store/memory_store.h"
#include "engine/store/rocksdb_store.h"
#include "engine/telemetry/event_history.h"
#include "engine/telemetry/log.h"
#include "engine/telemetry/metrics.h"
#include "engine/worker/supervisor.h"
#include "ipc/payload.h"
#include "ipc/state_segment.h"

namespace dspool {
namespace {

// Places for all workers that there can be: pool_size, overflow, spares, and those that leave.
constexpr std::uint32_t kPlaces = 2560;

std::vector<std::string> name_workers(std::uint32_t count) {
  std::vector<std::string> names;
  names.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) names.push_back(fmt::format("worker-{}", i));
  return names;
}

dispatch::Limits limits_from(const Config& config) {
  return {.max_in_flight = config.worker.max_in_flight,
          .pipeline = config.worker.pipeline,
          .session_queue = config.session_queue_limit,
          .queue = config.queue_limit,
          .pool_size = config.pool_size,
          .checkout_timeout = config.checkout_timeout,
          .cancel_grace = config.worker.cancel_grace,
          .affinity = config.affinity,
          .session_ttl = config.session.ttl,
          .durability = config.session.durability,
          .first_places = config.pool_size,
          .max_requests = config.worker.max_requests,
          .retry = config.retry,
          .circuit_breaker = config.circuit_breaker};
}

dispatch::FleetTerms fleet_terms_from(const Config& config) {
  dispatch::FleetTerms terms;
  terms.places = kPlaces;
  terms.overflow = config.overflow;
  terms.spares = config.spares;
  terms.max_requests = config.worker.max_requests;
  terms.max_age = config.worker.max_age;
  terms.max_memory_bytes = config.worker.max_memory_bytes;
  return terms;
}

Result<std::unique_ptr<ipc::PayloadStore>> make_payloads(const Config& config) {
  auto made = ipc::PayloadStore::create(config.pooling_enabled ? config.worker.slab_bytes : 0);
  if (made) return std::move(*made);
  const bool no_memory = made.error().kind == ipc::FaultKind::kNoMemory;
  return tl::unexpected(
      Error{.category = ErrorCategory::kInitialization,
            .code = no_memory ? "slab_no_memory" : "no_resources",
            .message = fmt::format("no memory for the pool's slab: {}; lower worker.slab_bytes",
                                   made.error().what)});
}

}  // namespace

// What is there only with a durable store.
struct Durables {
  std::unique_ptr<store::DurableStore> store;
  store::OwnerEpoch owner = 0;
};

Result<Durables> open_durables(const Config& config) {
  if (config.store.path.empty() || !config.pooling_enabled) return Durables{};
  auto opened = store::RocksDbStore::open(config.store.path);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  const auto owner = (*opened)->own();
  if (!owner) return tl::unexpected(owner.error());
  return Durables{.store = std::move(*opened), .owner = *owner};
}

class Engine::Parts final : private worker::LinkListener {
 public:
  Parts(Config c, std::unique_ptr<ipc::PayloadStore> p, Durables d)
      : config(std::move(c)),
        payloads(std::move(p)),
        durables(std::move(d)),
        segment(config.store.memory_limit),
        names(name_workers(kPlaces)),
        pool_size(config.pool_size),
        log(config.log_level, config.log_sink),
        history(config.history_events),
        store(std::min(config.session.max_bytes, config.worker.max_payload_bytes), segment),
        supervisor(config.worker, names, *payloads, segment, log, metrics),
        errands(durables.store ? std::make_unique<Errands>(*this) : nullptr),
        gate(limits_from(config),
             {.store = store,
              .archive = errands ? &errands->archivist : nullptr,
              .sessions = sessions,
              .tombstones = tombstones,
              .metrics = metrics,
              .history = history,
              .supervisor = supervisor,
              .reactor = reactor_waker,
              .steward = steward_waker,
              .monitor = monitor_waker},
             names, std::random_device{}(), config.completion_executor),
        reactor(gate, reactor_waker, std::chrono::microseconds(config.worker.spin_us)),
        census(durables.store
                   ? std::make_unique<dispatch::Census>(
                         *durables.store, sessions, tombstones, log,
                         [this](std::span<const session::SessionRef> found) { begin_ttl(found); })
                   : nullptr),
        front(config, gate, sessions, tombstones, *payloads, segment, reactor_waker, census.get()),
        prober(gate, reactor_waker, names, pool_size),
        monitor(config.health,
                {.prober = prober, .metrics = metrics, .log = log, .wake = monitor_waker}),
        statistics(gate, sessions, segment, metrics, names, pool_size, config.worker.max_in_flight,
                   dispatch::Gate::now()),
        mover(gate, sessions, names, metrics, observers, steward_waker,
              config.affinity == Affinity::kHint),
        steward(fleet_terms_from(config),
                {.gate = gate,
                 .supervisor = supervisor,
                 .mover = mover,
                 .wake = steward_waker,
                 .log = log,
                 .metrics = metrics,
                 .pool_size = pool_size},
                names, config.worker.cancel_grace) {}

  ~Parts() override {
    monitor.finish();  // first: that it stops is no illness
    steward.finish();  // then nobody is started any more, or asked to leave
    observers.finish();
    gate.step(
        [](dispatch::Dispatcher& dispatcher, dispatch::TimePoint now) { dispatcher.stop(now); });
    gate.wait_for_readers();  // what they read, and the calls behind them, end while all is there
    supervisor.begin_shut_down(config.worker.cancel_grace);  // first: a drained worker is no loss
    gate.signal_all(wire::MessageType::drain, 0);
    supervisor.finish_shut_down();
    if (errands) errands->archivist.finish();
    reactor.finish();
    gate.end_sessions();
  }

  Result<void> start() {
    if (!config.pooling_enabled) return {};
    if (errands) {
      errands->archivist.run([this](std::span<dispatch::Errand* const> told) { tell(told); },
                             [this] { return census->step(); });
    }
    return supervisor.start(config.pool_size, *this).and_then([this] {
      steward.start();
      monitor.start();
      return supervisor.wait_first_ready(config.worker.start_timeout);
    });
  }

  struct Errands {
    explicit Errands(Parts& parts)
        : runner(*parts.durables.store, parts.durables.owner, parts.segment, parts.log),
          archivist(runner, parts.config.store.group_delay, parts.log, parts.metrics) {}
    dispatch::ErrandRunner runner;
    dispatch::Archivist archivist;
  };

  Config config;
  std::unique_ptr<ipc::PayloadStore> payloads;
  Durables durables;
  ipc::StateSegment segment;  // before all that holds state
  std::vector<std::string> names;
  std::atomic<std::uint32_t> pool_size;  // how many workers are to be ready
  telemetry::Log log;
  telemetry::Metrics metrics;
  telemetry::EventHistory history;
  session::SessionTable sessions;
  session::Tombstones tombstones;
  store::MemoryStore store;
  dispatch::Waker reactor_waker;
  dispatch::Waker steward_waker;
  dispatch::Waker monitor_waker;
  worker::Supervisor supervisor;
  std::unique_ptr<Errands> errands;
  dispatch::Gate gate;
  dispatch::Reactor reactor;
  std::unique_ptr<dispatch::Census> census;
  dispatch::Front front;
  dispatch::Prober prober;
  dispatch::HealthMonitor monitor;
  dispatch::Statistics statistics;
  dispatch::MigrationObservers observers;
  dispatch::Mover mover;
  dispatch::Steward steward;

  Result<void> change_breaker(std::string_view name,
                              bool (dispatch::Dispatcher::*change)(std::string_view)) {
    bool there = false;
    gate.step([&](dispatch::Dispatcher& dispatcher, dispatch::TimePoint) {
      there = (dispatcher.*change)(name);
    });
    if (!there) return tl::unexpected(dispatch::errors::unknown_breaker(name));
    return {};
  }

  // Whether what waits for the fleet may be asked here and now.
  [[nodiscard]] Result<void> check_fleet() const {
    if (!config.pooling_enabled) return tl::unexpected(dispatch::errors::pooling_disabled());
    if (reactor_waker.is_owner()) return tl::unexpected(dispatch::errors::would_deadlock());
    return {};
  }

 private:
  void opened(std::shared_ptr<worker::Link> link) override {
    gate.open(link);
    reactor.watch(std::move(link));
  }
  void tell(std::span<dispatch::Errand* const> told) {
    if (told.empty()) return;
    gate.step([&](dispatch::Dispatcher& dispatcher, dispatch::TimePoint now) {
      for (dispatch::Errand* errand : told) dispatcher.archived(*errand, now);
    });
  }
  void begin_ttl(std::span<const session::SessionRef> found) {
    gate.step([&](dispatch::Dispatcher& dispatcher, dispatch::TimePoint now) {
      for (const auto& session : found) dispatcher.touch(*session, now);
    });
  }
  void restarts_exhausted(const Error& why) override { set_no_starts(why); }
  void restarts_resumed() override { set_no_starts({}); }
  void set_no_starts(const std::optional<Error>& why) {
    gate.step([&](dispatch::Dispatcher& dispatcher, dispatch::TimePoint now) {
      dispatcher.set_no_starts(why, now);
    });
    monitor.set_no_starts(why);
  }
  void vacated(std::uint32_t slot) override { steward.vacated(slot); }
  void start_failed(const Error& why) override {
    gate.step([&](dispatch::Dispatcher& dispatcher, dispatch::TimePoint) {
      dispatcher.start_failed(why.message);
    });
  }
};

Engine::Engine(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::start(Config config) {
  if (auto valid = config.validate(); !valid) return tl::unexpected(std::move(valid.error()));
  auto payloads = make_payloads(config);
  if (!payloads) return tl::unexpected(std::move(payloads.error()));
  auto durables = open_durables(config);
  if (!durables) return tl::unexpected(std::move(durables.error()));
  std::unique_ptr<Parts> parts;
  try {
    parts = std::make_unique<Parts>(std::move(config), std::move(*payloads), std::move(*durables));
  } catch (const std::system_error& error) {
    return tl::unexpected(Error{
        .category = ErrorCategory::kInitialization,
        .code = "no_resources",
        .message = fmt::format("the engine needs a few threads and descriptors and cannot have "
                               "them ({}): raise this process's limits",
                               error.what())});
  }
  if (auto started = parts->start(); !started) return tl::unexpected(std::move(started.error()));
  return std::unique_ptr<Engine>(new Engine(std::move(parts)));
}

Result<Answer> Engine::execute_in_session(std::string_view id, std::string_view command,
                                          const Value& args, const CallOptions& options) {
  return parts_->front.execute(id, command, args, options);
}

Result<Answer> Engine::execute_anonymous(std::string_view command, const Value& args,
                                         const CallOptions& options) {
  return parts_->front.execute_anonymous(command, args, options);
}

CallId Engine::submit(std::string_view id, std::string_view command, Value args, Completion done,
                      const CallOptions& options) {
  return parts_->front.submit(id, command, std::move(args), std::move(done), options);
}

bool Engine::cancel(CallId call) { return parts_->front.cancel(call); }

Result<void> Engine::set_lm(const LanguageModel& model) { return parts_->front.set_lm(model); }

Result<Answer> Engine::set_session_lm(std::string_view id,
                                      const std::optional<LanguageModel>& model,
                                      const CallOptions& options) {
  return parts_->front.set_session_lm(id, model, options);
}

Health Engine::probe_now(std::chrono::milliseconds patience) {
  Health health = parts_->monitor.probe_now(patience);
  health.stats = parts_->statistics.collect();
  return health;
}

Health Engine::health() const {
  Health health = parts_->monitor.health();
  health.stats = parts_->statistics.collect();
  return health;
}

Subscription Engine::observe_health(HealthObserver observer) {
  return parts_->monitor.observe_health(std::move(observer));
}

Subscription Engine::observe_alerts(AlertObserver observer) {
  return parts_->monitor.observe_alerts(std::move(observer));
}

Stats Engine::stats() const { return parts_->statistics.collect(); }

History Engine::history() const { return parts_->history.snapshot(); }

std::vector<BreakerInfo> Engine::breakers() const {
  return parts_->gate.ask([](const dispatch::Dispatcher& dispatcher, dispatch::TimePoint now) {
    return dispatcher.breakers(now);
  });
}

Result<void> Engine::isolate_breaker(std::string_view name) {
  return parts_->change_breaker(name, &dispatch::Dispatcher::isolate_breaker);
}

Result<void> Engine::close_breaker(std::string_view name) {
  return parts_->change_breaker(name, &dispatch::Dispatcher::close_breaker);
}

bool Engine::wait_until_ready(std::chrono::milliseconds patience) {
  if (!parts_->config.pooling_enabled) return false;
  if (parts_->reactor_waker.is_owner()) patience = std::chrono::milliseconds(0);
  return parts_->supervisor.wait_ready(parts_->pool_size, patience);
}

Result<void> Engine::resize(std::uint32_t workers, std::chrono::milliseconds patience) {
  return parts_->check_fleet().and_then([&] { return parts_->steward.resize(workers, patience); });
}

Result<void> Engine::drain_worker(std::string_view worker, std::chrono::milliseconds patience) {
  return parts_->check_fleet().and_then([&] { return parts_->steward.drain(worker, patience); });
}

Result<void> Engine::evacuate_worker(std::string_view worker, std::chrono::milliseconds patience) {
  return parts_->check_fleet().and_then([&] { return parts_->steward.evacuate(worker, patience); });
}

Result<void> Engine::migrate_session(std::string_view id, std::string_view worker,
                                     std::chrono::milliseconds patience) {
  if (auto may = parts_->check_fleet(); !may) return may;
  return parts_->steward.find_serving(worker).and_then(
      [&](std::uint32_t place) { return parts_->mover.move(parts_->front, id, place, patience); });
}

Result<std::uint64_t> Engine::rebalance(std::chrono::milliseconds patience) {
  if (auto may = parts_->check_fleet(); !may) return tl::unexpected(std::move(may.error()));
  return parts_->steward.rebalance(patience);
}

Subscription Engine::observe_migrations(MigrationObserver observer) {
  return parts_->observers.subscribe(std::move(observer));
}

Result<SessionInfo> Engine::create_session(std::string_view id, const SessionOptions& options) {
  return parts_->front.create_session(id, options);
}

Result<void> Engine::touch_session(std::string_view id) { return parts_->front.touch_session(id); }

Result<void> Engine::release_session(std::string_view id) {
  return parts_->front.release_session(id);
}

Result<std::vector<std::string>> Engine::list_sessions(std::string_view after, std::size_t limit,
                                                       std::string_view prefix) const {
  return parts_->front.list_sessions(after, limit, prefix);
}

Result<SessionInfo> Engine::get_session(std::string_view id) {
  return parts_->front.get_session(id);
}

Result<Answer> Engine::read_fields(std::string_view id, const std::vector<std::string>& keys,
                                   const CallOptions& options) {
  return parts_->front.read_fields(id, &keys, options);
}

Result<Answer> Engine::read_fields(std::string_view id, const CallOptions& options) {
  return parts_->front.read_fields(id, nullptr, options);
}

Result<Answer> Engine::update_fields(std::string_view id, const FieldUpdate& update,
                                     std::optional<std::uint64_t> if_version,
                                     const CallOptions& options) {
  return parts_->front.update_fields(id, update, if_version, options);
}

Result<void> Engine::backup(const std::filesystem::path& to) {
  if (!parts_->durables.store) {
    return tl::unexpected(Error{.category = ErrorCategory::kInitialization,
                                .code = "no_store",
                                .message = "there is no durable store to copy: set store.path"});
  }
  return parts_->durables.store->backup(to);
}

Result<void> Engine::end_session(std::string_view id, const CallOptions& options) {
  return parts_->front.end_session(id, options);
}

}  // namespace dspool
