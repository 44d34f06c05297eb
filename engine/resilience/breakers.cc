#include "engine/resilience/breakers.h"

#include <algorithm>
#include <iterator>

namespace dspool::resilience {

BreakerInfo NamedBreaker::describe(TimePoint now) const {
  return {.name = name,
          .state = breaker.state(now),
          .failures = breaker.failures_in_row(),
          .refusals = refusals,
          .retry_after = breaker.retry_after(now),
          .last_failure = last_failure};
}

bool ProviderBreaker::is_asked_by(std::string_view command) const noexcept {
  return std::ranges::find(commands, command) != commands.end();
}

Breakers::Breakers(const CircuitBreakerConfig& config) : config_(config), pool_(kPool, config) {}

ProviderBreaker* Breakers::find_for(std::string_view command, std::string_view provider) noexcept {
  for (const auto& each : providers_) {
    const bool is_its = provider.empty() || each->name == provider;
    if (is_its && each->is_asked_by(command)) return each.get();
  }
  return nullptr;
}

ProviderBreaker* Breakers::learn(std::string_view provider, std::string_view command) {
  if (provider.empty() || provider.size() > kMostNameBytes || provider == kPool) return nullptr;
  auto found = std::ranges::find(providers_, provider,
                                 [](const auto& each) -> std::string_view { return each->name; });
  if (found == providers_.end()) {
    if (providers_.size() == kMostProviders) return nullptr;
    providers_.push_back(std::make_unique<ProviderBreaker>(provider, config_));
    found = std::prev(providers_.end());
  }
  ProviderBreaker& learned = **found;
  if (!learned.is_asked_by(command)) {
    if (learned.commands.size() == kMostCommands) return nullptr;
    learned.commands.emplace_back(command);
  }
  return &learned;
}

NamedBreaker* Breakers::find(std::string_view name) noexcept {
  if (name == kPool) return &pool_;
  for (const auto& provider : providers_) {
    if (provider->name == name) return provider.get();
  }
  return nullptr;
}

std::vector<BreakerInfo> Breakers::describe(TimePoint now) const {
  std::vector<BreakerInfo> all;
  all.reserve(1 + providers_.size());
  all.push_back(pool_.describe(now));
  for (const auto& provider : providers_) all.push_back(provider->describe(now));
  return all;
}

}  // namespace dspool::resilience
