// The pool under test, and the language model that it asks.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "bench/loadtest/options.h"
#include "bench/offline_lm/offline_lm.h"
#include "dspool/config.h"
#include "dspool/engine.h"
#include "dspool/error.h"

namespace dspool::loadtest {

// The engine goes first: its workers are the model's clients.
struct Pool {
  std::unique_ptr<offline_lm::OfflineLm> offline_lm;  // where there is no other model
  std::unique_ptr<Engine> engine;
};

// The configuration that the options ask for: their file's, and on top of it what they say
// themselves. `python_path` is where the worker's package may be found, put behind the file's.
[[nodiscard]] Result<Config> make_config(const Options& options,
                                         const std::vector<std::string>& python_path);

// The same options, with the adapter that the pool will have.
[[nodiscard]] Options with_adapter_of(const Config& config, Options options);

// Operations per second that the pool could answer if they took --service-ms and nothing else.
[[nodiscard]] double capacity_of(const Config& config, const Options& options);

// The key of an API that is not the offline model comes from the environment, DSPOOL_API_KEY:
// a command line can be read by everybody on the machine. Errors: those of Engine::start and
// set_lm; initialization / "invalid_options" without a key; with pooling switched off, what every
// call would get.
[[nodiscard]] Result<Pool> start_pool(const Options& options, const Config& config);

// Waits until all workers are ready; false after `patience`, or once `stop` is set.
bool wait_until_ready(Engine& engine, std::chrono::milliseconds patience,
                      const std::atomic<bool>& stop);

}  // namespace dspool::loadtest
