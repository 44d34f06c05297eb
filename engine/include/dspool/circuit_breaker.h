// Circuit breakers: one for the pool, named "pool", and one for each provider of language models
// that has failed, named as the provider is ("openai").
//
// A breaker that is closed lets calls through. Too many failures open it: calls that would need
// what fails are refused with resource_error / "circuit_open" and `retry_after`, at once, or where
// they waited meanwhile, before they begin. After `timeout` it is half-open and lets a few through:
// enough successes close it, a failure opens it again.
//
// Failures of the pool are deaths of workers (several at once are one), calls whose deadline passes
// while a worker executes them, and calls that wait in vain for any worker to be ready; not
// exceptions of commands, and not refusals. Failures of a provider are what adapters say of an
// exception (`describe_error`), and deadlines of commands that have had such exceptions.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace dspool {

struct CircuitBreakerConfig {
  bool enabled = true;                  // false: none opens by itself
  std::uint32_t failure_threshold = 5;  // failures in a row that open it; <= 1000
  std::uint32_t success_threshold = 3;  // successes that close it when it is half-open; <= 1000
  std::chrono::milliseconds timeout{60'000};  // that it is open
  std::uint32_t probes = 3;  // calls at once that it lets through when it is half-open; <= 1000
  // It opens too when so many of the outcomes of the last `window` are failures, where there are
  // `minimum_calls` outcomes; 0: never for that.
  std::uint32_t error_rate_percent = 0;  // <= 100
  std::chrono::milliseconds window{10'000};
  std::uint32_t minimum_calls = 20;
};

enum class BreakerState : std::uint8_t {
  kClosed,
  kOpen,
  kHalfOpen,
  kIsolated,  // open by hand, until it is closed by hand
};
[[nodiscard]] std::string_view to_string(BreakerState state) noexcept;

struct BreakerInfo {
  std::string name{};
  BreakerState state = BreakerState::kClosed;
  std::uint32_t failures = 0;                // in a row
  std::uint64_t refusals = 0;                // calls that it has refused, since start
  std::chrono::milliseconds retry_after{0};  // kOpen: until it is half-open
  std::string last_failure{};                // in words; empty: there was none
};

}  // namespace dspool
