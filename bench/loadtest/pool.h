// The pool under test, and the language model that it asks.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
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

// The key of an API that is not the offline model comes from the environment, DSPOOL_API_KEY:
// a command line can be read by everybody on the machine. Errors: those of Engine::start and
// set_lm; initialization / "invalid_options" without a key.
[[nodiscard]] Result<Pool> start_pool(const Options& options, Config config);

}  // namespace dspool::loadtest
