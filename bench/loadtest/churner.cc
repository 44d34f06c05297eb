#include "bench/loadtest/churner.h"

#include <fmt/format.h>

#include <utility>

namespace dspool::loadtest {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kChangePatience{10'000};  // with one change; then comes the next

}  // namespace

std::string_view to_string(Change change) noexcept {
  switch (change) {
    case Change::kResize:
      return "resize";
    case Change::kDrain:
      return "drain";
    case Change::kEvacuate:
      return "evacuate";
    case Change::kMigrate:
      return "migrate";
    case Change::kRebalance:
      return "rebalance";
  }
  return "unknown";
}

Churner::Churner(Engine& engine, milliseconds interval, std::uint32_t pool_size,
                 const std::vector<std::string>& session_ids, std::uint64_t seed,
                 std::function<void(const std::string&)> on_change)
    : engine_(engine),
      interval_(interval),
      pool_size_(pool_size),
      session_ids_(session_ids),
      random_(seed),
      on_change_(std::move(on_change)),
      thread_([this] { run(); }) {}

Churner::~Churner() { static_cast<void>(stop()); }

Changes Churner::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) {
    thread_.join();
    static_cast<void>(engine_.resize(pool_size_, kChangePatience));
  }
  const Stats stats = engine_.stats();
  changes_.migrated_sessions = stats.migrations;
  changes_.recycled_workers = stats.workers_recycled;
  return changes_;
}

void Churner::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, interval_, [this] { return stopping_; })) return;
    }
    const auto change = static_cast<Change>(below(kChanges));
    std::string what;
    const Result<void> made = make(change, what);
    if (made) {
      ++changes_.done[static_cast<std::size_t>(change)];
    } else {
      ++changes_.refused;
      what += fmt::format(": {}", made.error().code);
    }
    on_change_(what);
  }
}

Result<void> Churner::make(Change change, std::string& what) {
  switch (change) {
    case Change::kResize: {
      const auto size = static_cast<std::uint32_t>(1 + below(2 * std::uint64_t{pool_size_}));
      what = fmt::format("resize to {}", size);
      return engine_.resize(size, kChangePatience);
    }
    case Change::kDrain: {
      const std::string worker = some_worker();
      what = fmt::format("drain {}", worker);
      return engine_.drain_worker(worker, kChangePatience);
    }
    case Change::kEvacuate: {
      const std::string worker = some_worker();
      what = fmt::format("evacuate {}", worker);
      return engine_.evacuate_worker(worker, kChangePatience);
    }
    case Change::kMigrate: {
      const std::string worker = some_worker();
      const std::string& session = session_ids_[below(session_ids_.size())];
      what = fmt::format("migrate {} to {}", session, worker);
      return engine_.migrate_session(session, worker, kChangePatience);
    }
    case Change::kRebalance: {
      what = "rebalance";
      return engine_.rebalance(kChangePatience).map([](std::uint64_t) {});
    }
  }
  return {};
}

// One that was there a moment ago.
std::string Churner::some_worker() {
  const Health health = engine_.health_check(milliseconds(0));
  if (health.workers.empty()) return {};
  return health.workers[below(health.workers.size())].worker;
}

}  // namespace dspool::loadtest
