// An engine with real Python workers, for end-to-end tests.
#pragma once

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "dspool/engine.h"
#include "gtest/gtest.h"

namespace dspool::test {

inline constexpr std::chrono::seconds kPatience{30};

inline std::string python() {
  const char* named = std::getenv("DSPOOL_PYTHON");
  return named != nullptr ? named : "/usr/bin/python3";
}

inline Config pool_config(std::uint32_t workers,
                          std::string adapter = "troublemaker:Troublemaker") {
  Config config;
  config.pool_size = workers;
  config.overflow = 0;
  config.log_level = LogLevel::kError;
  config.history_events = 1 << 20;
  // Many tests kill one worker after the other on purpose.
  config.circuit_breaker.enabled = false;
  config.worker.adapter = std::move(adapter);
  config.worker.python = python();
  config.worker.python_path = {DSPOOL_TEST_ADAPTERS};
  return config;
}

inline std::unique_ptr<Engine> start_pool(const Config& config) {
  auto engine = Engine::start(config);
  if (!engine) {
    ADD_FAILURE() << engine.error().describe();
    return nullptr;
  }
  EXPECT_TRUE((*engine)->wait_until_ready(kPatience));
  return std::move(*engine);
}

// "ok", or the code of the error.
template <typename T>
std::string code_of(const Result<T>& result) {
  return result ? "ok" : result.error().code;
}

// The process that answers for a session just now.
inline int pid_of(Engine& engine, std::string_view session) {
  const auto pid = engine.execute_in_session(session, "pid", {});
  return pid ? static_cast<int>(pid->value.as_int64()) : 0;
}

}  // namespace dspool::test
