#include "bench/loadtest/pool.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace dspool::loadtest {
namespace {

// Most of a call's time is spent waiting for the language model, so many may wait at once.
constexpr std::uint32_t kDspyInFlight = 8;
// About 150 bytes each.
constexpr std::size_t kHistoryEvents = std::size_t{1} << 21;

constexpr std::chrono::milliseconds kOneWait{100};

constexpr const char* kLoadTest = "dspool_worker.adapters.loadtest:LoadTest";
constexpr const char* kDspy = "dspool_worker.adapters.dspy:Dspy";

std::string adapter_of(const std::string& name) {
  if (name == "loadtest") return kLoadTest;
  if (name == "dspy") return kDspy;
  return name;
}

std::string name_of(const std::string& adapter) {
  if (adapter == kLoadTest) return "loadtest";
  if (adapter == kDspy) return "dspy";
  return adapter;
}

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// Absolute, but not resolved: a virtual environment's interpreter is a link, and knows by the
// link's name which environment is meant.
std::string absolute(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

bool asks_a_model(const Options& options) {
  return options.adapter == "dspy" || !options.api_base.empty() ||
         options.offline_latency_ms.has_value();
}

Result<LanguageModel> model_of(const Options& options, Pool& pool) {
  if (!options.api_base.empty()) {
    std::string key = environment("DSPOOL_API_KEY");
    if (key.empty()) {
      return invalid_options("--api-base needs the API's key in the environment: DSPOOL_API_KEY");
    }
    return LanguageModel{.model = options.model,
                         .api_base = options.api_base,
                         .api_key = std::move(key),
                         .temperature = std::nullopt};
  }
  auto started = offline_lm::OfflineLm::start(
      {.seed = options.seed,
       .median_latency = std::chrono::milliseconds(options.offline_latency_ms.value_or(0))});
  if (!started) return tl::unexpected(started.error());
  pool.offline_lm = *std::move(started);
  return LanguageModel{.model = "openai/offline",
                       .api_base = pool.offline_lm->api_base(),
                       .api_key = "offline",
                       .temperature = std::nullopt};
}

}  // namespace

Result<Config> make_config(const Options& options, const std::vector<std::string>& python_path) {
  Config config;
  config.log_level = LogLevel::kWarning;
  if (!options.config_file.empty()) {
    Result<Config> loaded = Config::load(options.config_file);
    if (!loaded) return loaded;
    config = *std::move(loaded);
  } else if (options.adapter == "dspy") {
    config.worker.max_in_flight = kDspyInFlight;
  }
  config.session.ttl = std::chrono::milliseconds(0);  // all are read again at the end
  if (options.adapter) config.worker.adapter = adapter_of(*options.adapter);
  config.worker.python_path.insert(config.worker.python_path.end(), python_path.begin(),
                                   python_path.end());
  const std::string python = options.python.empty() ? environment("DSPOOL_PYTHON") : options.python;
  if (!python.empty()) config.worker.python = absolute(python);
  if (options.workers) config.pool_size = *options.workers;
  if (options.overload) config.overflow = 0;  // what the pool can do is to stay as it is
  if (options.max_in_flight) config.worker.max_in_flight = *options.max_in_flight;
  if (options.affinity) config.affinity = *options.affinity;
  if (options.durability) config.session.durability = *options.durability;
  if (!options.store.empty()) config.store.path = absolute(options.store);
  if (options.timeout_ms) {
    config.operation_timeout = std::chrono::milliseconds(*options.timeout_ms);
  }
  if (!options.history_file.empty()) config.history_events = kHistoryEvents;
  if (options.log_level) config.log_level = *options.log_level;
  return config;
}

Options with_adapter_of(const Config& config, Options options) {
  options.adapter = name_of(config.worker.adapter);
  return options;
}

double capacity_of(const Config& config, const Options& options) {
  return static_cast<double>(config.pool_size) * config.worker.max_in_flight * 1e3 /
         options.service_ms.value_or(1);
}

Result<Pool> start_pool(const Options& options, const Config& config) {
  Pool pool;
  std::optional<LanguageModel> model;
  if (asks_a_model(options)) {
    Result<LanguageModel> found = model_of(options, pool);
    if (!found) return tl::unexpected(found.error());
    model = *std::move(found);
  }
  Result<std::unique_ptr<Engine>> engine = Engine::start(config);
  if (!engine) return tl::unexpected(engine.error());
  pool.engine = *std::move(engine);
  if (!config.pooling_enabled) {
    const Result<Answer> refused = pool.engine->execute_anonymous("read", Value());
    if (!refused) return tl::unexpected(refused.error());
  }
  if (model) {
    const Result<void> set = pool.engine->set_lm(*model);
    if (!set) return tl::unexpected(set.error());
  }
  return pool;
}

bool wait_until_ready(Engine& engine, std::chrono::milliseconds patience,
                      const std::atomic<bool>& stop) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!stop.load()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (engine.wait_until_ready(std::clamp(left, std::chrono::milliseconds(0), kOneWait)))
      return true;
    if (left.count() <= 0) return false;
  }
  return false;
}

}  // namespace dspool::loadtest
