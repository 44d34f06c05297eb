// Every key stands once, in kKeys: where its value is kept and what it may be. Reading a file and
// checking a Config that was made in code both go through it. toml++ and its exceptions end here.
#include "dspool/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <concepts>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <sstream>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>

#include "engine/api/unknown_key.h"

namespace dspool {
namespace {

using std::chrono::milliseconds;
using Texts = std::vector<std::string>;

// Where the value of a key is kept.
using Slot = std::variant<bool*, double*, std::uint32_t*, std::size_t*, milliseconds*, std::string*,
                          Texts*, PoolMode*, Affinity*, StartMethod*, Cgroups*, Durability*,
                          LogLevel*, Backoff*, Value*>;

template <auto... kPath>
Slot slot(Config& config) {
  return &(config.*....*kPath);
}

struct Key {
  std::string_view name;  // in TOML, with its table
  Slot (*slot)(Config&);
  std::int64_t least = 0;  // of numbers and durations
  std::int64_t most = 0;
  std::string_view rule = {};  // what else has to hold, in words
  bool (*holds)(const Slot&) = nullptr;
};

bool is_power_of_two(const Slot& slot) {
  return std::has_single_bit(*std::get<std::size_t*>(slot));
}

bool is_slab(const Slot& slot) {
  const std::size_t bytes = *std::get<std::size_t*>(slot);
  return bytes == 0 || (bytes >= WorkerConfig::kLeastRingBytes && std::has_single_bit(bytes));
}

bool is_path(const Slot& slot) {
  return std::get<std::string*>(slot)->find('\0') == std::string::npos;
}

bool is_absolute_path(const Slot& slot) {
  const std::string& path = *std::get<std::string*>(slot);
  return path.starts_with('/') && path.find('\0') == std::string::npos;
}

bool is_worker_memory(const Slot& slot) {
  constexpr std::size_t kLeast = std::size_t{1} << 20;  // with less, it would never be ready
  const std::size_t bytes = *std::get<std::size_t*>(slot);
  return bytes == 0 || bytes >= kLeast;
}

bool are_destinations(const Slot& slot) {
  return std::ranges::all_of(*std::get<Texts*>(slot), [](const std::string& word) {
    return word == "log" || word == "observers";
  });
}

bool are_path_entries(const Slot& slot) {
  return std::ranges::none_of(*std::get<Texts*>(slot), [](const std::string& entry) {
    return entry.empty() || entry.find_first_of(std::string_view(":\0", 2)) != std::string::npos;
  });
}

bool is_name(std::string_view text) {
  const auto belongs = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !text.empty() && !(text.front() >= '0' && text.front() <= '9') &&
         std::ranges::all_of(text, belongs);
}

bool are_variables_to_pass(const Slot& slot) {
  return std::ranges::all_of(*std::get<Texts*>(slot), [](std::string_view name) {
    if (name.ends_with('*')) name.remove_suffix(1);
    return is_name(name);
  });
}

bool are_variables(const Slot& slot) {
  return std::ranges::all_of(*std::get<Texts*>(slot), [](const std::string& line) {
    const std::size_t equals = line.find('=');
    return equals != std::string::npos && is_name(std::string_view(line).substr(0, equals)) &&
           line.find('\0') == std::string::npos;
  });
}

bool is_memory_limit(const Slot& slot) {
  constexpr std::size_t kLeast = std::size_t{64} << 20;  // with less, Python does not start
  const std::size_t bytes = *std::get<std::size_t*>(slot);
  return bytes == 0 || bytes >= kLeast;
}

bool are_enough_files(const Slot& slot) {
  constexpr std::uint32_t kLeast = 64;  // its channel, its standard streams, imports
  const std::uint32_t files = *std::get<std::uint32_t*>(slot);
  return files == 0 || files >= kLeast;
}

bool are_settings(const Slot& slot) {
  const Value& settings = *std::get<Value*>(slot);
  if (settings.is_null()) return true;
  const auto bytes = settings.bytes();
  return settings.kind() == Kind::kMap && bytes.size() <= WorkerConfig::kMostSettingsBytes &&
         Value::from_bytes({bytes.begin(), bytes.end()});  // assembled, it may be too deep
}

// package.module:Class, all of them names in ASCII.
bool is_adapter(const Slot& slot) {
  const std::string& adapter = *std::get<std::string*>(slot);
  const std::size_t colon = adapter.find(':');
  bool begins = true;  // a name has to begin here
  for (std::size_t i = 0; i < adapter.size(); ++i) {
    const char c = adapter[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool digit = c >= '0' && c <= '9';
    const bool ends = i == colon || (c == '.' && i < colon);
    if (begins ? !letter : !letter && !digit && !ends) return false;
    begins = ends;
  }
  return colon != std::string::npos && !begins;
}

constexpr std::int64_t kMostWorkers = Config::kMostWorkers;
constexpr std::int64_t kMostSpares = 256;
constexpr std::int64_t kMostKept = 1 << 24;  // calls, sessions, events
constexpr std::int64_t kMostSessions = 1 << 30;
constexpr std::int64_t kMostOutcomes = 1000;
constexpr std::int64_t kMostMs = 7LL * 24 * 3600 * 1000;  // a week: no sum of two overflows
constexpr std::int64_t kLeastRing = WorkerConfig::kLeastRingBytes;
constexpr std::int64_t kMostRing = 1 << 30;  // record lengths are 32 bits
constexpr std::int64_t kLeastPayload = 64 * 1024;
constexpr std::int64_t kLeastStateMemory = 2 * 1024 * 1024;
constexpr std::int64_t kMostStateMemory = std::int64_t{1} << 42;
constexpr std::int64_t kMostProcesses = 1 << 22;  // Linux has no more numbers for them
constexpr std::int64_t kMostFiles = 1 << 20;
constexpr std::uint32_t kThreadsBesideCommands = 3;       // the lifeline's, and an adapter's or two
constexpr std::int64_t kMostPayload = 512 * 1024 * 1024;  // FlatBuffers end at 2 GiB

constexpr std::string_view kSettings = "worker.settings";
static_assert(WorkerConfig::kMostSettingsBytes == 1048576);

constexpr std::array kKeys = std::to_array<Key>({
    {"pooling_enabled", slot<&Config::pooling_enabled>},
    {"pool_mode", slot<&Config::pool_mode>},
    {"pool_size", slot<&Config::pool_size>, 1, kMostWorkers},
    {"overflow", slot<&Config::overflow>, 0, kMostWorkers},
    {"spares", slot<&Config::spares>, 0, kMostSpares},
    {"checkout_timeout", slot<&Config::checkout_timeout>, 1, kMostMs},
    {"operation_timeout", slot<&Config::operation_timeout>, 1, kMostMs},
    {"affinity", slot<&Config::affinity>},
    {"session_queue_limit", slot<&Config::session_queue_limit>, 1, kMostKept},
    {"queue_limit", slot<&Config::queue_limit>, 0, kMostKept},
    {"history_events", slot<&Config::history_events>, 0, kMostKept},
    {"log_level", slot<&Config::log_level>},
    {"session.ttl", slot<&Config::session, &SessionConfig::ttl>, 0, kMostMs},
    {"session.max_sessions", slot<&Config::session, &SessionConfig::max_sessions>, 1,
     kMostSessions},
    {"session.max_bytes", slot<&Config::session, &SessionConfig::max_bytes>, kLeastPayload,
     kMostPayload},
    {"session.durability", slot<&Config::session, &SessionConfig::durability>},
    {"store.path", slot<&Config::store, &StoreConfig::path>, 0, 0, ", the name of a directory",
     is_path},
    {"store.memory_limit", slot<&Config::store, &StoreConfig::memory_limit>, kLeastStateMemory,
     kMostStateMemory},
    {"store.group_delay", slot<&Config::store, &StoreConfig::group_delay>, 0, 1000},
    {"retry.enabled", slot<&Config::retry, &RetryConfig::enabled>},
    {"retry.backoff", slot<&Config::retry, &RetryConfig::backoff>},
    {"retry.base_delay", slot<&Config::retry, &RetryConfig::base_delay>, 1, kMostMs},
    {"retry.max_delay", slot<&Config::retry, &RetryConfig::max_delay>, 1, kMostMs},
    {"retry.jitter", slot<&Config::retry, &RetryConfig::jitter>},
    {"retry.budget_percent", slot<&Config::retry, &RetryConfig::budget_percent>, 0, 100},
    {"retry.budget_per_second", slot<&Config::retry, &RetryConfig::budget_per_second>, 0,
     1'000'000},
    {"circuit_breaker.enabled", slot<&Config::circuit_breaker, &CircuitBreakerConfig::enabled>},
    {"circuit_breaker.failure_threshold",
     slot<&Config::circuit_breaker, &CircuitBreakerConfig::failure_threshold>, 1, kMostOutcomes},
    {"circuit_breaker.success_threshold",
     slot<&Config::circuit_breaker, &CircuitBreakerConfig::success_threshold>, 1, kMostOutcomes},
    {"circuit_breaker.timeout", slot<&Config::circuit_breaker, &CircuitBreakerConfig::timeout>, 1,
     kMostMs},
    {"circuit_breaker.probes", slot<&Config::circuit_breaker, &CircuitBreakerConfig::probes>, 1,
     kMostOutcomes},
    {"circuit_breaker.error_rate_percent",
     slot<&Config::circuit_breaker, &CircuitBreakerConfig::error_rate_percent>, 0, 100},
    {"circuit_breaker.window", slot<&Config::circuit_breaker, &CircuitBreakerConfig::window>, 10,
     kMostMs},
    {"circuit_breaker.minimum_calls",
     slot<&Config::circuit_breaker, &CircuitBreakerConfig::minimum_calls>, 1, kMostKept},
    {"worker.adapter", slot<&Config::worker, &WorkerConfig::adapter>, 0, 0,
     ", as in package.module:Class", is_adapter},
    {"worker.python", slot<&Config::worker, &WorkerConfig::python>, 0, 0,
     ", the absolute path of an interpreter", is_absolute_path},
    {"worker.python_path", slot<&Config::worker, &WorkerConfig::python_path>, 0, 0,
     ", none of them empty or with a ':'", are_path_entries},
    {kSettings, slot<&Config::worker, &WorkerConfig::settings>, 0, 0,
     ", not in each other more than 63 deep, and at most 1048576 bytes in all", are_settings},
    {"worker.start_method", slot<&Config::worker, &WorkerConfig::start_method>},
    {"worker.max_in_flight", slot<&Config::worker, &WorkerConfig::max_in_flight>, 1, 256},
    {"worker.pipeline", slot<&Config::worker, &WorkerConfig::pipeline>, 1, 64},
    {"worker.session_cache", slot<&Config::worker, &WorkerConfig::session_cache>, 1, kMostKept},
    {"worker.session_cache_bytes", slot<&Config::worker, &WorkerConfig::session_cache_bytes>,
     kLeastPayload, kMostStateMemory},
    {"worker.ring_bytes", slot<&Config::worker, &WorkerConfig::ring_bytes>, kLeastRing, kMostRing,
     " that is a power of two", is_power_of_two},
    {"worker.slab_bytes", slot<&Config::worker, &WorkerConfig::slab_bytes>, 0, kMostRing,
     " that is 0, or a power of two from 524288 on", is_slab},
    {"worker.max_payload_bytes", slot<&Config::worker, &WorkerConfig::max_payload_bytes>,
     kLeastPayload, kMostPayload},
    {"worker.spin_us", slot<&Config::worker, &WorkerConfig::spin_us>, 0, 1000},
    {"worker.max_requests", slot<&Config::worker, &WorkerConfig::max_requests>, 0,
     std::numeric_limits<std::int64_t>::max()},
    {"worker.max_age", slot<&Config::worker, &WorkerConfig::max_age>, 0, kMostMs},
    {"worker.max_memory_bytes", slot<&Config::worker, &WorkerConfig::max_memory_bytes>, 0,
     kMostStateMemory, " that is 0, or at least 1048576", is_worker_memory},
    {"worker.max_restarts", slot<&Config::worker, &WorkerConfig::max_restarts>, 0, 1000},
    {"worker.restart_window", slot<&Config::worker, &WorkerConfig::restart_window>, 1, kMostMs},
    {"worker.start_timeout", slot<&Config::worker, &WorkerConfig::start_timeout>, 1, kMostMs},
    {"worker.cancel_grace", slot<&Config::worker, &WorkerConfig::cancel_grace>, 1, kMostMs},
    {"worker.pass_environment", slot<&Config::worker, &WorkerConfig::pass_environment>, 0, 0,
     ", each the name of a variable, or the beginning of names and a '*'", are_variables_to_pass},
    {"worker.environment", slot<&Config::worker, &WorkerConfig::environment>, 0, 0,
     ", each as in NAME=value", are_variables},
    {"worker.memory_limit", slot<&Config::worker, &WorkerConfig::memory_limit>, 0, kMostStateMemory,
     " that is 0, or at least 67108864", is_memory_limit},
    {"worker.max_processes", slot<&Config::worker, &WorkerConfig::max_processes>, 0,
     kMostProcesses},
    {"worker.max_open_files", slot<&Config::worker, &WorkerConfig::max_open_files>, 0, kMostFiles,
     " that is 0, or at least 64", are_enough_files},
    {"worker.cgroups", slot<&Config::worker, &WorkerConfig::cgroups>},
    {"worker.seccomp", slot<&Config::worker, &WorkerConfig::seccomp>},
    {"health.probe_interval", slot<&Config::health, &HealthConfig::probe_interval>, 0, kMostMs},
    {"health.error_rate_threshold", slot<&Config::health, &HealthConfig::error_rate_threshold>, 0,
     1},
    {"health.error_rate_window", slot<&Config::health, &HealthConfig::error_rate_window>, 1,
     kMostMs},
    {"health.error_rate_min_calls", slot<&Config::health, &HealthConfig::error_rate_min_calls>, 1,
     kMostKept},
    {"health.alert_destinations", slot<&Config::health, &HealthConfig::alert_destinations>, 0, 0,
     R"(, of "log" and "observers")", are_destinations},
});

// The words for the enumerators of E, in their order.
template <typename E>
constexpr std::array<std::string_view, 0> kWords = {};
template <>
constexpr std::array kWords<PoolMode> = std::to_array<std::string_view>({"default", "development",
                                                                         "test", "production"});
template <>
constexpr std::array kWords<Affinity> = std::to_array<std::string_view>({"hint", "off", "pinned"});
template <>
constexpr std::array kWords<StartMethod> = std::to_array<std::string_view>({"spawn", "forkserver"});
template <>
constexpr std::array kWords<Cgroups> = std::to_array<std::string_view>({"auto", "off", "required"});
template <>
constexpr std::array kWords<Durability> = std::to_array<std::string_view>({"memory", "local",
                                                                           "replicated"});
template <>
constexpr std::array kWords<LogLevel> = std::to_array<std::string_view>({"debug", "info", "warning",
                                                                         "error", "off"});
template <>
constexpr std::array kWords<Backoff> = std::to_array<std::string_view>({"linear", "exponential"});
static_assert(kWords<Backoff>[static_cast<std::size_t>(Backoff::kExponential)] == "exponential");
static_assert(kWords<PoolMode>[static_cast<std::size_t>(PoolMode::kProduction)] == "production");
static_assert(kWords<Affinity>[static_cast<std::size_t>(Affinity::kPinned)] == "pinned");
static_assert(kWords<LogLevel>[static_cast<std::size_t>(LogLevel::kOff)] == "off");

// What a node of any kind says, or nothing where no value can.
std::optional<Value> value_of(const toml::node& node) {
  if (const auto* const table = node.as_table()) {
    std::vector<std::pair<std::string_view, Value>> values;
    values.reserve(table->size());
    for (const auto& [key, inner] : *table) {
      auto value = value_of(inner);
      if (!value || key.str().find('\0') != std::string_view::npos) return std::nullopt;
      values.emplace_back(key.str(), *std::move(value));
    }
    std::vector<Value::Member> members;
    members.reserve(values.size());
    for (const auto& [key, value] : values) members.emplace_back(key, value);
    return Value::map(members);
  }
  if (const auto* const array = node.as_array()) {
    std::vector<Value> values;
    values.reserve(array->size());
    for (const toml::node& inner : *array) {
      auto value = value_of(inner);
      if (!value) return std::nullopt;
      values.push_back(*std::move(value));
    }
    const std::vector<Value::Item> items(values.begin(), values.end());
    return Value::list(items);
  }
  if (const auto* const text = node.as_string()) return Value::of(text->get());
  if (const auto* const whole = node.as_integer()) return Value::of(whole->get());
  if (const auto* const number = node.as_floating_point()) return Value::of(number->get());
  if (const auto* const truth = node.as_boolean()) return Value::of(truth->get());
  return std::nullopt;  // a date or a time
}

// Whether `node` is a T; then `value` is what it says.
template <typename T>
bool read(const toml::node& node, T& value) {
  if constexpr (std::same_as<T, Texts>) {
    const toml::array* const array = node.as_array();
    if (array == nullptr) return false;
    value.clear();
    for (const toml::node& element : *array) {
      if (!read(element, value.emplace_back())) return false;
    }
    return true;
  } else if constexpr (std::same_as<T, Value>) {
    auto settings = node.is_table() ? value_of(node) : std::nullopt;
    if (!settings) return false;
    value = *std::move(settings);
    return true;
  } else if constexpr (std::is_enum_v<T>) {
    std::string word;
    if (!read(node, word)) return false;
    const auto found = std::ranges::find(kWords<T>, word);
    if (found == kWords<T>.end()) return false;
    value = static_cast<T>(found - kWords<T>.begin());
    return true;
  } else if constexpr (std::same_as<T, double>) {
    const auto number = node.is_number() ? node.value<double>() : std::nullopt;
    if (number) value = *number;
    return number.has_value();
  } else if constexpr (std::same_as<T, bool> || std::same_as<T, std::string>) {
    const auto exact = node.value_exact<T>();
    if (exact) value = *exact;
    return exact.has_value();
  } else {
    const auto exact = node.value_exact<std::int64_t>();
    if (!exact) return false;
    if constexpr (std::unsigned_integral<T>) {
      if (!std::in_range<T>(*exact)) return false;
    }
    value = static_cast<T>(*exact);
    return true;
  }
}

template <typename T>
bool is_within_limits(const Key& key, const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return static_cast<std::size_t>(value) < kWords<T>.size();
  } else if constexpr (std::same_as<T, milliseconds>) {
    return value.count() >= key.least && value.count() <= key.most;
  } else if constexpr (std::same_as<T, double>) {
    return value >= static_cast<double>(key.least) && value <= static_cast<double>(key.most);
  } else if constexpr (std::unsigned_integral<T> && !std::same_as<T, bool>) {
    return std::cmp_greater_equal(value, key.least) && std::cmp_less_equal(value, key.most);
  } else {
    return true;
  }
}

// What a T may be, as the end of "it must be ...".
template <typename T>
std::string allowed(const Key& key) {
  const std::string range = std::to_string(key.least) + " to " + std::to_string(key.most);
  std::string text;
  if constexpr (std::is_enum_v<T>) {
    for (const std::string_view word : kWords<T>) {
      text.append(text.empty() ? "one of " : ", ").append(word);
    }
  } else if constexpr (std::same_as<T, bool>) {
    text = "true or false";
  } else if constexpr (std::same_as<T, std::string>) {
    text = "a string";
  } else if constexpr (std::same_as<T, Texts>) {
    text = "a list of strings";
  } else if constexpr (std::same_as<T, Value>) {
    text = "a table of strings, numbers, booleans, lists and tables (dates and times as strings)";
  } else if constexpr (std::same_as<T, double>) {
    text = "a number from " + range;
  } else if constexpr (std::same_as<T, milliseconds>) {
    text = "an integer, milliseconds, from " + range;
  } else {
    text = "an integer from " + range;
  }
  return text.append(key.rule);
}

// A value as a message quotes it.
template <typename T>
std::string shown(const T& value) {
  if constexpr (std::same_as<T, Texts>) {
    std::string text;
    for (const std::string& each : value) text.append(text.empty() ? "" : ", ").append(shown(each));
    return "[" + text + "]";
  } else if constexpr (std::same_as<T, std::string>) {
    return '"' + value + '"';
  } else if constexpr (std::same_as<T, double>) {
    std::ostringstream text;
    text << value;
    return text.str();
  } else if constexpr (std::same_as<T, milliseconds>) {
    return std::to_string(value.count());
  } else if constexpr (std::is_enum_v<T>) {
    return std::to_string(static_cast<int>(value));
  } else {
    return std::to_string(value);
  }
}

std::string shown(const toml::node& node) {
  std::ostringstream text;
  node.visit([&text](const auto& concrete) { text << concrete; });
  return text.str();
}

// A table may hold secrets: what stands in it is not quoted.
template <>
std::string shown(const Value& value) {
  return "<" + std::string(to_string(value.kind())) + ">";
}

template <typename T>
std::string complaint(const Key& key, std::string_view value) {
  return std::string(key.name) + " = " + std::string(value) + ": it must be " + allowed<T>(key);
}

// What is wrong with the value of `key`, or nothing.
std::optional<std::string> check(const Key& key, Config& config) {
  return std::visit(
      [&key]<typename T>(T* value) -> std::optional<std::string> {
        if (is_within_limits(key, *value) && (key.holds == nullptr || key.holds(value))) {
          return std::nullopt;
        }
        return complaint<T>(key, shown(*value));
      },
      key.slot(config));
}

// Puts what `node` says into `config`, or says why not.
std::optional<std::string> assign(const Key& key, const toml::node& node, Config& config) {
  return std::visit(
      [&]<typename T>(T* value) -> std::optional<std::string> {
        if (!read(node, *value)) {
          return complaint<T>(key, std::same_as<T, Value> ? "<not a value>" : shown(node));
        }
        return check(key, config);
      },
      key.slot(config));
}

Error invalid_config(std::string message) {
  return {.category = ErrorCategory::kInitialization,
          .code = "invalid_config",
          .message = std::move(message)};
}

bool is_table(std::string_view name) {
  return name == "worker" || name == "session" || name == "store" || name == "retry" ||
         name == "circuit_breaker" || name == "health";
}

// What several values must not be together.
std::optional<std::string> check_together(const Config& config) {
  if (config.session.durability == Durability::kReplicated) {
    return "session.durability = replicated: there is no replicated store; use local or memory";
  }
  if (config.session.durability == Durability::kLocal && config.store.path.empty()) {
    return "session.durability = local: that needs a durable store; name a directory in store.path";
  }
  const WorkerConfig& worker = config.worker;
  const std::uint32_t own = worker.max_in_flight + kThreadsBesideCommands;
  if (worker.max_processes != 0 && worker.max_processes < own) {
    return "worker.max_processes = " + shown(worker.max_processes) + ": a worker alone may have " +
           shown(own) + " threads; allow that many or more, or 0 for any number";
  }
  if (worker.max_processes != 0 && worker.cgroups == Cgroups::kOff) {
    return "worker.cgroups = off: only a cgroup can limit processes; set it to auto or required, "
           "or worker.max_processes to 0";
  }
  if (config.retry.max_delay < config.retry.base_delay) {
    return "retry.max_delay = " + std::to_string(config.retry.max_delay.count()) +
           ": it must not be less than retry.base_delay, which is " +
           std::to_string(config.retry.base_delay.count());
  }
  return std::nullopt;
}

struct Entry {
  std::string name;  // with its tables
  const toml::node* node;
};

void collect(const toml::table& table, const std::string& prefix, std::vector<Entry>& entries) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    const toml::table* const inner = node.as_table();
    if (inner != nullptr && !inner->empty() && name != kSettings) {
      collect(*inner, name + ".", entries);
    } else if (inner == nullptr || !is_table(name)) {
      entries.push_back({name, &node});
    }
  }
}

// As they stand in the text, so that the first mistake is the one that is told.
std::vector<Entry> entries_of(const toml::table& table) {
  std::vector<Entry> entries;
  collect(table, "", entries);
  std::ranges::stable_sort(entries, {},
                           [](const Entry& entry) { return entry.node->source().begin.line; });
  return entries;
}

std::string advice(std::string_view name) {
  if (is_table(name)) {
    return "is a table: write [" + std::string(name) + "], and its keys below";
  }
  std::array<std::string_view, kKeys.size()> known;
  std::ranges::transform(kKeys, known.begin(), &Key::name);
  return advice_on_unknown_key(name, known);
}

Result<Config> config_from(const toml::table& table, std::string_view source) {
  Config config;
  if (const toml::node* const node = table.get("pool_mode")) {
    PoolMode mode{};
    if (read(*node, mode)) config = Config::for_mode(mode);
  }
  for (const auto& [name, node] : entries_of(table)) {
    const auto* const key = std::ranges::find(kKeys, name, &Key::name);
    const auto wrong =
        key != kKeys.end() ? assign(*key, *node, config) : std::optional(name + " " + advice(name));
    if (wrong) {
      return tl::unexpected(invalid_config(
          std::string(source) + ":" + std::to_string(node->source().begin.line) + ": " + *wrong));
    }
  }
  return config;
}

}  // namespace

Config Config::for_mode(PoolMode mode) {
  Config config;
  config.pool_mode = mode;
  if (mode == PoolMode::kDevelopment || mode == PoolMode::kTest) config.pool_size = 2;
  if (mode == PoolMode::kProduction) {
    constexpr auto kMost = static_cast<std::uint32_t>(kMostWorkers);
    const std::uint32_t cores = std::clamp(std::thread::hardware_concurrency(), 1U, kMost);
    config.pool_size = std::min(2 * cores, kMost);
    config.overflow = cores;
    config.checkout_timeout = std::chrono::seconds(5);
    config.circuit_breaker.timeout = std::chrono::seconds(30);
    config.circuit_breaker.error_rate_percent = 50;
  }
  return config;
}

Result<Config> Config::parse_toml(std::string_view text, std::string_view source_name) {
  try {
    return config_from(toml::parse(text), source_name);
  } catch (const toml::parse_error& error) {
    return tl::unexpected(
        invalid_config(std::string(source_name) + ":" + std::to_string(error.source().begin.line) +
                       ": this is not TOML: " + std::string(error.description())));
  }
}

Result<Config> Config::load(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  std::string text;
  if (file != nullptr) {
    std::array<char, 4096> block;
    while (const std::size_t got = std::fread(block.data(), 1, block.size(), file.get())) {
      text.append(block.data(), got);
    }
  }
  if (file == nullptr || std::ferror(file.get()) != 0) {
    return tl::unexpected(
        invalid_config("cannot read " + path.string() + ": " +
                       std::error_code(errno, std::generic_category()).message()));
  }
  return parse_toml(text, path.string());
}

Result<void> Config::validate() const {
  Config values = *this;  // slots are writable
  for (const Key& key : kKeys) {
    if (const auto wrong = check(key, values)) return tl::unexpected(invalid_config(*wrong));
  }
  if (const auto wrong = check_together(values)) return tl::unexpected(invalid_config(*wrong));
  return {};
}

}  // namespace dspool
