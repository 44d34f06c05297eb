// The circuit breakers of a pool: its own, and one for each provider of language models.
//
// Which commands ask a provider is learned from their errors: those that have told of a failure of
// it once. So a provider that fails stands in the way of what needs it, and of nothing else; and
// what succeeds without it says nothing about it.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/circuit_breaker.h"
#include "engine/resilience/circuit_breaker.h"

namespace dspool::resilience {

struct NamedBreaker {
  NamedBreaker(std::string_view called, const CircuitBreakerConfig& config)
      : name(called), breaker(config) {}

  std::string name;
  CircuitBreaker breaker;
  std::string last_failure;  // in words; empty: there was none
  std::uint64_t refusals = 0;

  [[nodiscard]] BreakerInfo describe(TimePoint now) const;
};

struct ProviderBreaker : NamedBreaker {
  using NamedBreaker::NamedBreaker;

  std::vector<std::string> commands;  // that ask it
  [[nodiscard]] bool is_asked_by(std::string_view command) const noexcept;
};

class Breakers {
 public:
  static constexpr std::string_view kPool = "pool";
  // What a worker says of providers is not believed without bounds.
  static constexpr std::size_t kMostProviders = 32;
  static constexpr std::size_t kMostCommands = 64;  // of each
  static constexpr std::size_t kMostNameBytes = 64;

  explicit Breakers(const CircuitBreakerConfig& config);

  [[nodiscard]] NamedBreaker& pool() noexcept { return pool_; }
  [[nodiscard]] const NamedBreaker& pool() const noexcept { return pool_; }
  [[nodiscard]] bool has_providers() const noexcept { return !providers_.empty(); }
  // The breaker that a call of the command has to ask, whose language model is this provider's;
  // null: none. Empty: the provider is not known.
  [[nodiscard]] ProviderBreaker* find_for(std::string_view command,
                                          std::string_view provider) noexcept;
  // A command has told of a failure of the provider. Null: there are too many, or it cannot be a
  // provider's name.
  ProviderBreaker* learn(std::string_view provider, std::string_view command);

  // Null: there is none of this name.
  [[nodiscard]] NamedBreaker* find(std::string_view name) noexcept;
  [[nodiscard]] std::vector<BreakerInfo> describe(TimePoint now) const;

 private:
  const CircuitBreakerConfig config_;
  NamedBreaker pool_;
  std::vector<std::unique_ptr<ProviderBreaker>> providers_;  // calls point to them
};

}  // namespace dspool::resilience
