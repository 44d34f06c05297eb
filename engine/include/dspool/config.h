// All that can be configured, with one default each. Keys in TOML are the members' names, durations
// integers in milliseconds, enumerators their names in lower case ("hint", "production"). What a
// value may be stands in engine/api/config.cc, and in the error that refuses another one.
//
//   pool_size = 4
//   [session]
//   ttl = 3600000
//   [worker]
//   adapter = "dspool_worker.adapters.dspy:Dspy"
//   python = "/usr/bin/python3"
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/circuit_breaker.h"
#include "dspool/error.h"
#include "dspool/retry.h"
#include "dspool/session.h"
#include "dspool/value.h"

namespace dspool {

enum class PoolMode : std::uint8_t { kDefault, kDevelopment, kTest, kProduction };
// Where a session's next call runs.
enum class Affinity : std::uint8_t {
  kHint,    // where the session is warm, unless waiting for that would cost more than a miss
  kOff,     // wherever there is room
  kPinned,  // where it is warm, however long that takes: for comparison with pools that pin
};
enum class StartMethod : std::uint8_t { kSpawn, kForkServer };
// Whether each worker is put into a cgroup of its own, below the engine's.
enum class Cgroups : std::uint8_t {
  kAuto,      // where a limit needs one and the system lets us; the log says where it does not
  kOff,       // never
  kRequired,  // always, or the engine does not start
};
enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError, kOff };

struct WorkerConfig {
  static constexpr std::size_t kLeastRingBytes = 512 * 1024;  // two of the longest records
  static constexpr std::size_t kMostSettingsBytes = std::size_t{1} << 20;

  std::string adapter = "dspool_worker.adapters.loadtest:LoadTest";  // package.module:Class
  std::string python = "/usr/bin/python3";  // absolute path of the interpreter
  std::vector<std::string> python_path;     // put before PYTHONPATH
  // A map that the adapter is constructed with, if its __init__ takes a parameter; null: empty. In
  // TOML any table, without dates and times. Its FlexBuffer has at most kMostSettingsBytes.
  Value settings;
  // How a worker begins: as a Python of its own, or forked from one that has imported the adapter.
  StartMethod start_method = StartMethod::kSpawn;
  std::uint32_t max_in_flight = 1;     // requests a worker runs at once, on threads; <= 256
  std::uint32_t pipeline = 8;          // requests in its ring where service is short; <= 64
  std::uint32_t session_cache = 4096;  // sessions whose fields a worker keeps, in at most
  std::size_t session_cache_bytes = std::size_t{64} << 20;
  // Of each of its two rings: a power of two, at least kLeastRingBytes.
  std::size_t ring_bytes = std::size_t{1} << 20;
  // Of the memory, warm from the start, for what is longer than 64 KiB: one slab of the pool for
  // what goes to workers, and one of each worker for its answers. 0, or as ring_bytes.
  std::size_t slab_bytes = std::size_t{32} << 20;
  // The longest arguments, result, and fields of a session; <= 512 MiB. Beyond the slab each such
  // value is memory of its own while it travels.
  std::size_t max_payload_bytes = std::size_t{256} << 20;
  std::uint32_t spin_us = 20;  // how long each side of a channel looks before it sleeps; <= 1000
  // When it is replaced, the replacement being ready first; 0: never for that.
  std::uint64_t max_requests = 0;        // that it has answered
  std::chrono::milliseconds max_age{0};  // since it was ready
  std::uint64_t max_memory_bytes = 0;    // of its own (RssAnon), looked at once a second
  std::chrono::milliseconds start_timeout{60'000};
  // So many deaths of each worker within the window, all before it had completed a request, exhaust
  // the restarts: calls without a worker end with initialization / "restarts_exhausted", and one
  // worker is tried each `restart_window`, until one is ready. `Engine::resize` tries all at once.
  std::uint32_t max_restarts = 5;  // 0: any number
  std::chrono::milliseconds restart_window{60'000};
  std::chrono::milliseconds cancel_grace{5'000};  // an attempt given up longer than this: killed

  // What a worker is kept from; engine/README.md says by what. 0: no limit.
  // Of the engine's environment it gets what Python and its libraries need, what is named here
  // ("NAME", or "PREFIX_*", which passes no secrets), and then these ("NAME=value").
  std::vector<std::string> pass_environment;
  std::vector<std::string> environment;
  // Bytes that each of its processes may have for itself, and in a cgroup all of them together.
  std::uint64_t memory_limit = 0;
  std::uint32_t max_processes = 0;   // its own and those that it starts, threads included: a cgroup
  std::uint32_t max_open_files = 0;  // descriptors of each of its processes
  Cgroups cgroups = Cgroups::kAuto;
  bool seccomp = false;  // system calls that no worker needs fail with EPERM
};

struct SessionConfig {
  std::chrono::milliseconds ttl{300'000};  // from the last activity on; 0: they do not expire
  std::size_t max_sessions = 10'000'000;   // in the pool
  // Of one session's fields; not more than worker.max_payload_bytes, whatever stands here.
  std::size_t max_bytes = std::size_t{256} << 20;
  Durability durability = Durability::kMemory;  // of those that a call makes; kLocal: store.path
};

struct StoreConfig {
  // The directory of the durable store, made where it is missing; empty: there is none. One engine
  // at a time can have it.
  std::string path;
  // Of the shared memory for the fields of sessions. Where it is nearly used up, those of idle
  // sessions move to the durable store until they are used.
  std::size_t memory_limit = std::size_t{1} << 30;
  // How long at most a commit waits for others, to be written and synced with them. Those that come
  // while a write is under way go together anyhow.
  std::chrono::milliseconds group_delay{0};
};

struct HealthConfig {
  // How often workers are asked for a sign of life, beside their work; 0: only when somebody asks.
  std::chrono::milliseconds probe_interval{5'000};
  // The pool is degraded, and an alert is raised, while a greater part of the calls ends with
  // errors (0 to 1; 1: never), of those within the window, if there are so many at least.
  double error_rate_threshold = 0.05;
  std::chrono::milliseconds error_rate_window{60'000};
  std::uint32_t error_rate_min_calls = 20;
  // Who is told of alerts: "log", and "observers" (Engine::observe_alerts).
  std::vector<std::string> alert_destinations = {"log", "observers"};
};

struct Config {
  static constexpr std::uint32_t kMostWorkers = 1024;  // pool_size, and Engine::resize

  bool pooling_enabled = true;
  PoolMode pool_mode = PoolMode::kDefault;  // which defaults it began with (for_mode, TOML)
  std::uint32_t pool_size = 4;
  std::uint32_t overflow = 2;  // workers above pool_size, started while callers wait for one
  std::uint32_t spares = 0;    // ready workers beyond need, that take no work until they are needed
  std::chrono::milliseconds checkout_timeout{10'000};   // waiting for a worker
  std::chrono::milliseconds operation_timeout{30'000};  // a call's default, queueing included
  Affinity affinity = Affinity::kHint;
  std::uint32_t session_queue_limit = 16;  // waiting calls of one session
  // Waiting calls in all; 0: 64 for each request that the pool runs at once.
  std::uint32_t queue_limit = 0;
  std::size_t history_events = 0;  // events kept for `Engine::history`; 0: off
  LogLevel log_level = LogLevel::kInfo;
  // Receives each line of log; by default they go to standard error. Called from any thread.
  std::function<void(LogLevel, std::string_view)> log_sink;
  // Where completions of `submit` run; by default on the reactor, where they must not block.
  std::function<void(std::function<void()>)> completion_executor;
  SessionConfig session;
  StoreConfig store;
  RetryConfig retry;
  CircuitBreakerConfig circuit_breaker;
  WorkerConfig worker;
  HealthConfig health;

  // The defaults of a mode: development and test pool_size 2; production pool_size = 2 x cores,
  // overflow = cores, checkout_timeout 5 s, circuit_breaker.timeout 30 s and error_rate_percent 50.
  static Config for_mode(PoolMode mode);

  // Reads TOML. Strict: an unknown key, a wrong type or an impossible value is an error
  // (initialization / "invalid_config") that names the line, and the nearest known key or, for a
  // key of the old pool, its successor. A `pool_mode` in the text sets the defaults first.
  static Result<Config> parse_toml(std::string_view text, std::string_view source_name = "config");
  static Result<Config> load(const std::filesystem::path& path);

  // Checks each value against its limits; the error ("invalid_config") names the key, its value,
  // and what is allowed. `Engine::start` calls it.
  [[nodiscard]] Result<void> validate() const;
};

}  // namespace dspool
