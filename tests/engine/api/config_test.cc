#include "dspool/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace dspool {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// The message of the error that `text` is refused with.
std::string refusal(std::string_view text) {
  const auto config = Config::parse_toml(text, "pool.toml");
  if (config) return "accepted";
  EXPECT_EQ(config.error().category, ErrorCategory::kInitialization);
  EXPECT_EQ(config.error().code, "invalid_config");
  return config.error().message;
}

std::string refusal(const Config& config) {
  const auto valid = config.validate();
  if (valid) return "accepted";
  EXPECT_EQ(valid.error().category, ErrorCategory::kInitialization);
  EXPECT_EQ(valid.error().code, "invalid_config");
  return valid.error().message;
}

TEST(ConfigTest, ReadsEveryKey) {
  const Config config = Config::parse_toml(R"(
    pooling_enabled = false
    pool_mode = "test"
    pool_size = 7
    overflow = 0
    spares = 3
    checkout_timeout = 1
    operation_timeout = 90_000
    affinity = "off"
    session_queue_limit = 3
    queue_limit = 100
    history_events = 1000
    log_level = "debug"
    [session]
    ttl = 0
    max_sessions = 1
    max_bytes = 65536
    durability = "local"
    [store]
    path = "state"
    memory_limit = 4194304
    group_delay = 2
    [retry]
    enabled = false
    backoff = "exponential"
    base_delay = 50
    max_delay = 2000
    jitter = false
    budget_percent = 10
    budget_per_second = 1
    [circuit_breaker]
    enabled = false
    failure_threshold = 7
    success_threshold = 2
    timeout = 30_000
    probes = 4
    error_rate_percent = 25
    window = 5000
    minimum_calls = 50
    [worker]
    adapter = "package.module:Class"
    python = "/opt/python/bin/python3"
    python_path = ["/a", "b c"]
    start_method = "forkserver"
    max_in_flight = 256
    pipeline = 64
    session_cache = 1
    session_cache_bytes = 131072
    ring_bytes = 524288
    slab_bytes = 0
    max_payload_bytes = 65536
    spin_us = 0
    max_requests = 1000
    max_age = 3600000
    max_memory_bytes = 1048576
    start_timeout = 5000
    max_restarts = 7
    restart_window = 30_000
    cancel_grace = 250
    pass_environment = ["HF_TOKEN", "AWS_*"]
    environment = ["MODE=a=b", "EMPTY="]
    memory_limit = 67108864
    max_processes = 300
    max_open_files = 64
    cgroups = "required"
    seccomp = true
    [worker.settings]
    anything = [1]
    [health]
    probe_interval = 250
    error_rate_threshold = 0.25
    error_rate_window = 10_000
    error_rate_min_calls = 100
    alert_destinations = ["observers"]
  )")
                            .value();
  // A member that is added does not compile here until it has been made a key as well.
  const auto& [pooling_enabled, pool_mode, pool_size, overflow, spares, checkout_timeout,
               operation_timeout, affinity, session_queue_limit, queue_limit, history_events,
               log_level, log_sink, completion_executor, session, store, retry, circuit_breaker,
               worker, health] = config;
  const auto& [ttl, max_sessions, max_bytes, durability] = session;
  const auto& [path, memory_limit, group_delay] = store;
  const auto& [retries, backoff, base_delay, max_delay, jitter, budget_percent, budget_per_second] =
      retry;
  const auto& [breaks, failure_threshold, success_threshold, timeout, probes, error_rate_percent,
               window, minimum_calls] = circuit_breaker;
  const auto& [adapter, python, python_path, settings, start_method, max_in_flight, pipeline,
               session_cache, session_cache_bytes, ring_bytes, slab_bytes, max_payload_bytes,
               spin_us, max_requests, max_age, max_memory_bytes, start_timeout, max_restarts,
               restart_window, cancel_grace, pass_environment, environment, worker_memory_limit,
               max_processes, max_open_files, cgroups, seccomp] = worker;
  const auto& [probe_interval, error_rate_threshold, error_rate_window, error_rate_min_calls,
               alert_destinations] = health;
  EXPECT_EQ(max_restarts, 7);
  EXPECT_EQ(restart_window, milliseconds(30'000));
  EXPECT_EQ(probe_interval, milliseconds(250));
  EXPECT_EQ(error_rate_threshold, 0.25);
  EXPECT_EQ(error_rate_window, milliseconds(10'000));
  EXPECT_EQ(error_rate_min_calls, 100);
  EXPECT_EQ(alert_destinations, std::vector<std::string>{"observers"});
  EXPECT_FALSE(pooling_enabled);
  EXPECT_EQ(pool_mode, PoolMode::kTest);
  EXPECT_EQ(pool_size, 7);
  EXPECT_EQ(overflow, 0);
  EXPECT_EQ(spares, 3);
  EXPECT_EQ(checkout_timeout, milliseconds(1));
  EXPECT_EQ(operation_timeout, milliseconds(90'000));
  EXPECT_EQ(affinity, Affinity::kOff);
  EXPECT_EQ(session_queue_limit, 3);
  EXPECT_EQ(queue_limit, 100);
  EXPECT_EQ(history_events, 1000);
  EXPECT_EQ(log_level, LogLevel::kDebug);
  EXPECT_EQ(ttl, milliseconds(0));
  EXPECT_EQ(max_sessions, 1);
  EXPECT_EQ(max_bytes, 65'536);
  EXPECT_EQ(durability, Durability::kLocal);
  EXPECT_EQ(path, "state");
  EXPECT_EQ(memory_limit, 4'194'304);
  EXPECT_EQ(group_delay, milliseconds(2));
  EXPECT_FALSE(retries);
  EXPECT_EQ(backoff, Backoff::kExponential);
  EXPECT_EQ(base_delay, milliseconds(50));
  EXPECT_EQ(max_delay, milliseconds(2000));
  EXPECT_FALSE(jitter);
  EXPECT_EQ(budget_percent, 10);
  EXPECT_EQ(budget_per_second, 1);
  EXPECT_FALSE(breaks);
  EXPECT_EQ(failure_threshold, 7);
  EXPECT_EQ(success_threshold, 2);
  EXPECT_EQ(timeout, milliseconds(30'000));
  EXPECT_EQ(probes, 4);
  EXPECT_EQ(error_rate_percent, 25);
  EXPECT_EQ(window, milliseconds(5000));
  EXPECT_EQ(minimum_calls, 50);
  EXPECT_EQ(session_cache_bytes, 131'072);
  EXPECT_EQ(adapter, "package.module:Class");
  EXPECT_EQ(python, "/opt/python/bin/python3");
  EXPECT_EQ(python_path, (std::vector<std::string>{"/a", "b c"}));
  EXPECT_EQ(settings.to_json(), R"({"anything":[1]})");
  EXPECT_EQ(start_method, StartMethod::kForkServer);
  EXPECT_EQ(max_in_flight, 256);
  EXPECT_EQ(pipeline, 64);
  EXPECT_EQ(session_cache, 1);
  EXPECT_EQ(ring_bytes, 524'288);
  EXPECT_EQ(slab_bytes, 0);
  EXPECT_EQ(max_payload_bytes, 65'536);
  EXPECT_EQ(spin_us, 0);
  EXPECT_EQ(max_requests, 1000);
  EXPECT_EQ(max_age, milliseconds(3'600'000));
  EXPECT_EQ(max_memory_bytes, 1'048'576);
  EXPECT_EQ(start_timeout, milliseconds(5000));
  EXPECT_EQ(cancel_grace, milliseconds(250));
  EXPECT_EQ(pass_environment, (std::vector<std::string>{"HF_TOKEN", "AWS_*"}));
  EXPECT_EQ(environment, (std::vector<std::string>{"MODE=a=b", "EMPTY="}));
  EXPECT_EQ(worker_memory_limit, 67'108'864);
  EXPECT_EQ(max_processes, 300);
  EXPECT_EQ(max_open_files, 64);
  EXPECT_EQ(cgroups, Cgroups::kRequired);
  EXPECT_TRUE(seccomp);
  EXPECT_EQ(refusal(config), "accepted");
}

TEST(ConfigTest, ReadsEveryWord) {
  const std::pair<std::string, LogLevel> levels[] = {{"debug", LogLevel::kDebug},
                                                     {"info", LogLevel::kInfo},
                                                     {"warning", LogLevel::kWarning},
                                                     {"error", LogLevel::kError},
                                                     {"off", LogLevel::kOff}};
  for (const auto& [word, level] : levels) {
    EXPECT_EQ(Config::parse_toml("log_level = '" + word + "'")->log_level, level);
  }
  const std::pair<std::string, PoolMode> modes[] = {{"default", PoolMode::kDefault},
                                                    {"development", PoolMode::kDevelopment},
                                                    {"test", PoolMode::kTest},
                                                    {"production", PoolMode::kProduction}};
  for (const auto& [word, mode] : modes) {
    EXPECT_EQ(Config::parse_toml("pool_mode = '" + word + "'")->pool_mode, mode);
  }
  EXPECT_EQ(Config::parse_toml("affinity = 'hint'")->affinity, Affinity::kHint);
  EXPECT_EQ(Config::parse_toml("affinity = 'pinned'")->affinity, Affinity::kPinned);
  EXPECT_EQ(Config::parse_toml("[worker]\nstart_method = 'spawn'")->worker.start_method,
            StartMethod::kSpawn);
}

TEST(ConfigTest, OfAnEmptyTextIsTheDefault) {
  const Config config = Config::parse_toml("# nothing\n[worker]\n").value();
  EXPECT_EQ(config.pool_size, Config{}.pool_size);
  EXPECT_EQ(config.worker.adapter, Config{}.worker.adapter);
  EXPECT_EQ(refusal(Config{}), "accepted");
}

TEST(ConfigTest, AModeSetsTheDefaultsAndTheTextWins) {
  const Config test = Config::parse_toml("pool_mode = 'test'").value();
  EXPECT_EQ(test.pool_size, 2);
  const Config larger = Config::parse_toml("pool_size = 3\npool_mode = 'test'").value();
  EXPECT_EQ(larger.pool_size, 3);
  EXPECT_EQ(larger.pool_mode, PoolMode::kTest);
}

TEST(ConfigTest, ModesSizeThePool) {
  const std::uint32_t cores = std::max(1U, std::thread::hardware_concurrency());
  EXPECT_EQ(Config::for_mode(PoolMode::kDefault).pool_size, 4);
  EXPECT_EQ(Config::for_mode(PoolMode::kDevelopment).pool_size, 2);
  EXPECT_EQ(Config::for_mode(PoolMode::kTest).pool_size, 2);
  const Config production = Config::for_mode(PoolMode::kProduction);
  EXPECT_EQ(production.pool_size, std::min(2 * cores, 1024U));
  EXPECT_EQ(production.overflow, std::min(cores, 1024U));
  EXPECT_EQ(production.checkout_timeout, milliseconds(5000));
  EXPECT_EQ(production.circuit_breaker.timeout, milliseconds(30'000));
  EXPECT_EQ(production.circuit_breaker.error_rate_percent, 50);
  EXPECT_EQ(Config().circuit_breaker.timeout, milliseconds(60'000));
  for (const PoolMode mode :
       {PoolMode::kDefault, PoolMode::kDevelopment, PoolMode::kTest, PoolMode::kProduction}) {
    EXPECT_EQ(Config::for_mode(mode).pool_mode, mode);
    EXPECT_EQ(refusal(Config::for_mode(mode)), "accepted");
  }
}

TEST(UnknownKeyTest, IsToldWithItsLineAndTheNearestKey) {
  EXPECT_EQ(refusal("pool_size = 4\npool_sise = 4\n"),
            "pool.toml:2: pool_sise is unknown, the nearest known key is pool_size");
  EXPECT_EQ(refusal("[worker]\n\nadaptor = 'a:B'\n"),
            "pool.toml:3: worker.adaptor is unknown, the nearest known key is worker.adapter");
  EXPECT_THAT(refusal("[wroker]\nadapter = 'a:B'"),
              HasSubstr("the nearest known key is worker.adapter"));
}

TEST(ConfigTest, AShareIsANumberFrom0To1) {
  EXPECT_EQ(refusal("health.error_rate_threshold = 1"), "accepted");
  EXPECT_EQ(refusal("health.error_rate_threshold = 5.5"),
            "pool.toml:1: health.error_rate_threshold = 5.5: it must be a number from 0 to 1");
  EXPECT_THAT(refusal("health.error_rate_threshold = 'low'"), HasSubstr("it must be a number"));
  Config config;
  config.health.error_rate_threshold = -0.5;
  EXPECT_THAT(refusal(config), HasSubstr("health.error_rate_threshold = -0.5"));
}

TEST(ConfigTest, AlertsGoToDestinationsThatThereAre) {
  EXPECT_EQ(refusal("health.alert_destinations = []"), "accepted");
  EXPECT_THAT(refusal("health.alert_destinations = ['pager']"),
              HasSubstr("\"log\" and \"observers\""));
}

TEST(UnknownKeyTest, InTheWrongTableIsToldTheRightOne) {
  EXPECT_EQ(refusal("adapter = 'a:B'"),
            "pool.toml:1: adapter is unknown, the nearest known key is worker.adapter");
  EXPECT_EQ(refusal("[worker]\npool_size = 4"),
            "pool.toml:2: worker.pool_size is unknown, the nearest known key is pool_size");
}

TEST(UnknownKeyTest, OfTheOldPoolIsToldItsSuccessor) {
  const std::pair<std::string, std::string> successors[] = {
      {"python_executable", "python_executable is now worker.python"},
      {"default_timeout", "default_timeout is now operation_timeout"},
      {"timeout", "timeout is now operation_timeout"},
      {"max_overflow", "max_overflow is now overflow"},
      {"worker_module", "worker_module is gone, every worker is supervised: remove it"},
      {"failure_threshold", "failure_threshold is now circuit_breaker.failure_threshold"},
      {"success_threshold", "success_threshold is now circuit_breaker.success_threshold"},
      {"error_rate_threshold", "is now health.error_rate_threshold"},
      {"alert_destinations", "is now health.alert_destinations"}};
  for (const auto& [key, successor] : successors) {
    EXPECT_THAT(refusal("\n" + key + " = 1"),
                AllOf(StartsWith("pool.toml:2: "), HasSubstr(successor)));
  }
}

TEST(UnknownKeyTest, OfTheOldPoolThatIsKeptIsNoError) {
  EXPECT_EQ(
      refusal("pooling_enabled = true\npool_size = 4\noverflow = 2\npool_mode = 'production'\n"
              "checkout_timeout = 5_000\noperation_timeout = 30_000\n"
              "[circuit_breaker]\nfailure_threshold = 5\nsuccess_threshold = 3\n"
              "timeout = 60_000\n"),
      "accepted");
}

TEST(UnknownKeyTest, MeetsEmptyTablesAndTheWorkerThatIsNone) {
  EXPECT_EQ(refusal("[circuit_breaker]"), "accepted");
  EXPECT_THAT(refusal("circuit_breaker = 5"), HasSubstr("write [circuit_breaker]"));
  EXPECT_THAT(refusal("worker = 3"), HasSubstr("worker is a table: write [worker]"));
  EXPECT_THAT(refusal("[[worker]]\npython = '/p'"), HasSubstr("worker is a table"));
  EXPECT_THAT(refusal("[pool_size]\nx = 1"), HasSubstr("pool_size.x is unknown"));
}

TEST(ImpossibleValueTest, OfTheWrongTypeIsToldWithItsLineAndWhatIsAllowed) {
  EXPECT_EQ(refusal("\npool_size = 'four'"),
            "pool.toml:2: pool_size = 'four': it must be an integer from 1 to 1024");
  EXPECT_THAT(refusal("pool_size = 4.0"), HasSubstr("pool_size = 4.0: it must be an integer"));
  EXPECT_THAT(refusal("pool_size = true"), HasSubstr("pool_size = true: it must be an integer"));
  EXPECT_THAT(refusal("pooling_enabled = 1"), HasSubstr("it must be true or false"));
  EXPECT_THAT(refusal("checkout_timeout = '5s'"), HasSubstr("an integer, milliseconds, from 1 to"));
  EXPECT_THAT(refusal("pool_mode = 'prod'"),
              HasSubstr("pool_mode = 'prod': it must be one of default, development, test, "
                        "production"));
  EXPECT_THAT(refusal("affinity = false"), HasSubstr("it must be one of hint, off"));
  EXPECT_THAT(refusal("[worker]\nstart_method = 'fork'"),
              HasSubstr("it must be one of spawn, forkserver"));
  EXPECT_THAT(refusal("log_level = 'warn'"),
              HasSubstr("it must be one of debug, info, warning, error, off"));
  EXPECT_THAT(refusal("[worker]\npython_path = '/a'"), HasSubstr("it must be a list of strings"));
  EXPECT_THAT(refusal("[worker]\npython_path = ['/a', 1]"),
              HasSubstr("worker.python_path = [ '/a', 1 ]: it must be a list of strings"));
  EXPECT_THAT(refusal("pool_size = {}"), HasSubstr("it must be an integer"));
}

TEST(ImpossibleValueTest, OutOfRangeIsToldWithTheRange) {
  EXPECT_EQ(refusal("pool_size = 0"),
            "pool.toml:1: pool_size = 0: it must be an integer from 1 to 1024");
  const std::string outside[] = {"pool_size = 1025",
                                 "pool_size = -1",
                                 "pool_size = 4294967297",
                                 "overflow = -1",
                                 "overflow = 1025",
                                 "spares = 257",
                                 "worker.max_age = -1",
                                 "checkout_timeout = 0",
                                 "checkout_timeout = -1",
                                 "operation_timeout = 0",
                                 "operation_timeout = 604800001",
                                 "session_queue_limit = 0",
                                 "queue_limit = -1",
                                 "history_events = -1",
                                 "worker.max_in_flight = 0",
                                 "worker.max_in_flight = 257",
                                 "worker.pipeline = 0",
                                 "worker.pipeline = 65",
                                 "worker.session_cache = 0",
                                 "worker.ring_bytes = 262144",
                                 "worker.ring_bytes = 2147483648",
                                 "worker.slab_bytes = 2147483648",
                                 "worker.max_payload_bytes = 65535",
                                 "worker.max_payload_bytes = 536870913",
                                 "worker.spin_us = 1001",
                                 "worker.max_processes = -1",
                                 "worker.max_open_files = 2097152",
                                 "worker.start_timeout = 0",
                                 "worker.cancel_grace = 0",
                                 "retry.base_delay = 0",
                                 "retry.max_delay = 604800001",
                                 "retry.budget_percent = 101",
                                 "retry.budget_per_second = 1000001",
                                 "circuit_breaker.failure_threshold = 0",
                                 "circuit_breaker.success_threshold = 1001",
                                 "circuit_breaker.timeout = 0",
                                 "circuit_breaker.probes = 0",
                                 "circuit_breaker.error_rate_percent = 101",
                                 "circuit_breaker.window = 9",
                                 "circuit_breaker.minimum_calls = 0"};
  for (const std::string& text : outside) {
    EXPECT_THAT(refusal(text), AllOf(StartsWith("pool.toml:1: " + text + ": it must be an integer"),
                                     HasSubstr("from "), HasSubstr(" to ")));
  }
}

TEST(ConfigTest, TheLimitsThemselvesAreAllowed) {
  for (const std::string text : {"pool_size = 1",
                                 "pool_size = 1024",
                                 "overflow = 0",
                                 "overflow = 1024",
                                 "spares = 256",
                                 "worker.max_requests = 0",
                                 "worker.max_memory_bytes = 0",
                                 "checkout_timeout = 1",
                                 "operation_timeout = 604800000",
                                 "session_queue_limit = 1",
                                 "queue_limit = 16777216",
                                 "history_events = 0",
                                 "worker.max_in_flight = 1",
                                 "worker.pipeline = 1",
                                 "worker.session_cache = 16777216",
                                 "worker.ring_bytes = 524288",
                                 "worker.ring_bytes = 1073741824",
                                 "worker.slab_bytes = 524288",
                                 "worker.max_payload_bytes = 536870912",
                                 "worker.max_processes = 0",
                                 "worker.max_processes = 4194304",
                                 "worker.max_open_files = 0",
                                 "worker.memory_limit = 0",
                                 "worker.python_path = []"}) {
    EXPECT_EQ(refusal(text), "accepted") << text;
  }
}

TEST(ImpossibleValueTest, OfAnotherShapeIsTold) {
  EXPECT_THAT(refusal("worker.ring_bytes = 600000"), HasSubstr("that is a power of two"));
  EXPECT_THAT(refusal("worker.slab_bytes = 262144"), HasSubstr("that is 0, or a power of two"));
  EXPECT_THAT(refusal("worker.max_memory_bytes = 65536"), HasSubstr("0, or at least 1048576"));
  for (const std::string path : {"", "python3", "./python", "\\u0000"}) {
    EXPECT_THAT(refusal("worker.python = \"" + path + "\""), HasSubstr("the absolute path of an"));
  }
  for (const std::string adapter :
       {"", ":", "module", "module:", ":Class", "a:b:C", ".a:C", "a.:C", "a..b:C", "a:C.D", "1a:C",
        "a b:C", "a:C ", "ä:C", "../a:C", "a:C()"}) {
    EXPECT_THAT(refusal("worker.adapter = '" + adapter + "'"), HasSubstr("package.module:Class"))
        << adapter;
  }
  for (const std::string adapter : {"a:C", "_a.b2.c_d:_Class9"}) {
    EXPECT_EQ(refusal("worker.adapter = '" + adapter + "'"), "accepted");
  }
  for (const std::string entry : {"", "/a:/b"}) {
    EXPECT_THAT(refusal("worker.python_path = ['/x', '" + entry + "']"),
                HasSubstr("none of them empty or with a ':'"));
  }
}

TEST(ConfigTest, SettingsAreAnyTableForTheAdapter) {
  const Config config = Config::parse_toml(R"(
    [worker.settings]
    pool_size = "not ours"
    sizes = [1, 2.5, true, [], {}]
    [worker.settings.programs]
    qa = "my_app:QA"
  )")
                            .value();
  EXPECT_EQ(config.worker.settings.to_json(),
            R"({"pool_size":"not ours","programs":{"qa":"my_app:QA"},"sizes":[1,2.5,true,[],{}]})");
  EXPECT_TRUE(Config::parse_toml("[worker.settings]")->worker.settings.kind() == Kind::kMap);
  EXPECT_TRUE(Config{}.worker.settings.is_null());
}

TEST(ImpossibleValueTest, OfSettingsIsToldWithoutQuotingThem) {
  EXPECT_THAT(refusal("[worker]\nsettings = 'sk-secret'"),
              AllOf(HasSubstr("pool.toml:2: worker.settings"), HasSubstr("it must be a table"),
                    Not(HasSubstr("sk-secret"))));
  EXPECT_THAT(refusal("worker.settings.since = 2020-01-01"), HasSubstr("dates and times"));
  EXPECT_THAT(refusal("worker.settings.\"a\\u0000b\" = 1"), HasSubstr("it must be a table"));
  EXPECT_THAT(refusal("worker.settings.text = '" + std::string(1 << 20, 'x') + "'"),
              AllOf(HasSubstr("at most 1048576 bytes"), Not(HasSubstr("xxx"))));
  Config config;
  config.worker.settings = Value::list({1});
  EXPECT_THAT(refusal(config), HasSubstr("worker.settings = <list>: it must be a table"));
  for (int depth = 0; depth < 64; ++depth)
    config.worker.settings = {{"in", config.worker.settings}};
  EXPECT_THAT(refusal(config), HasSubstr("worker.settings = <map>: it must be a table"));
}

TEST(ImpossibleValueTest, OfAWorkersLimitsIsTold) {
  EXPECT_THAT(refusal("worker.memory_limit = 1048576"), HasSubstr("0, or at least 67108864"));
  EXPECT_THAT(refusal("worker.max_open_files = 63"), HasSubstr("0, or at least 64"));
  EXPECT_THAT(refusal("worker.cgroups = 'on'"), HasSubstr("one of auto, off, required"));
  for (const std::string name : {"", "*", "A=b", "A*B", "1A", "A-B", "A B"}) {
    EXPECT_THAT(refusal("worker.pass_environment = ['HOME', '" + name + "']"),
                HasSubstr("each the name of a variable"))
        << name;
  }
  for (const std::string line : {"", "NAME", "=value", "A B=c", "A*=b"}) {
    EXPECT_THAT(refusal("worker.environment = ['" + line + "']"), HasSubstr("as in NAME=value"))
        << line;
  }
  Config config;
  config.worker.max_in_flight = 8;
  config.worker.max_processes = 10;
  EXPECT_THAT(refusal(config), HasSubstr("a worker alone may have 11 threads"));
  config.worker.max_processes = 11;
  EXPECT_EQ(refusal(config), "accepted");
  config.worker.cgroups = Cgroups::kOff;
  EXPECT_THAT(refusal(config), StartsWith("worker.cgroups = off: only a cgroup can limit"));
}

TEST(ImpossibleValueTest, ThatStandsFirstInTheTextIsTold) {
  EXPECT_THAT(refusal("queue_limit = -1\npool_size = 0\naffinity = 1"),
              HasSubstr(":1: queue_limit"));
  EXPECT_THAT(refusal("zzz = 0\npool_size = 0"), HasSubstr(":1: zzz"));
}

TEST(ImpossibleValueTest, InAConfigMadeInCodeIsTold) {
  Config config;
  config.pool_size = 0;
  EXPECT_EQ(refusal(config), "pool_size = 0: it must be an integer from 1 to 1024");
  config = {};
  config.operation_timeout = milliseconds(-5);
  EXPECT_THAT(refusal(config), StartsWith("operation_timeout = -5: it must be an integer"));
  config = {};
  config.worker.python = "python3";
  EXPECT_EQ(refusal(config),
            "worker.python = \"python3\": it must be a string, the absolute path of an "
            "interpreter");
  config = {};
  config.worker.python_path = {"/a", ""};
  EXPECT_THAT(refusal(config), HasSubstr("worker.python_path = [\"/a\", \"\"]"));
  config = {};
  config.retry.max_delay = milliseconds(99);
  EXPECT_EQ(refusal(config),
            "retry.max_delay = 99: it must not be less than retry.base_delay, which is 100");
  config = {};
  config.log_level = static_cast<LogLevel>(9);
  EXPECT_THAT(refusal(config), HasSubstr("log_level = 9: it must be one of debug"));
  config = {};
  config.history_events = std::size_t{1} << 63;
  EXPECT_THAT(refusal(config), HasSubstr("history_events = 9223372036854775808"));
}

TEST(ConfigTest, ACheckoutMayBeAllowedLongerThanAnOperation) {
  EXPECT_EQ(refusal("checkout_timeout = 60000\noperation_timeout = 1000"), "accepted");
}

TEST(ConfigTest, OfATextThatIsNotTomlIsToldWithItsLine) {
  EXPECT_THAT(refusal("pool_size = 4\npool_size 5\n"),
              StartsWith("pool.toml:2: this is not TOML: "));
  EXPECT_THAT(refusal("a = 1\nb = 2\na = 3"), StartsWith("pool.toml:3: this is not TOML: "));
  EXPECT_THAT(refusal("pool_size = \xFF"), StartsWith("pool.toml:1: this is not TOML: "));
  EXPECT_THAT(refusal("a = " + std::string(100'000, '[')), HasSubstr("this is not TOML: "));
}

class ConfigFileTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::path(testing::TempDir()) /
            ("dspool_config_test." + std::to_string(getpid()) + ".toml");
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::filesystem::path path_;
};

TEST_F(ConfigFileTest, IsReadWhole) {
  std::ofstream(path_) << std::string(10'000, '#') << "\npool_size = 9\n";
  EXPECT_EQ(Config::load(path_).value().pool_size, 9);
}

TEST_F(ConfigFileTest, IsNamedInErrors) {
  std::ofstream(path_) << "\npool_size = 0\n";
  const auto config = Config::load(path_);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, StartsWith(path_.string() + ":2: pool_size = 0"));
}

TEST_F(ConfigFileTest, ThatCannotBeReadIsAnError) {
  const auto missing = Config::load(path_);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, "invalid_config");
  EXPECT_EQ(missing.error().message,
            "cannot read " + path_.string() + ": No such file or directory");
  const auto directory = Config::load(testing::TempDir());
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.error().message, HasSubstr("Is a directory"));
}

}  // namespace
}  // namespace dspool
