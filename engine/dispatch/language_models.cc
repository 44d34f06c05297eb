#include "engine/dispatch/language_models.h"

#include <fmt/format.h>

#include <cassert>
#include <cstring>
#include <utility>

namespace dspool::dispatch {
namespace {

// Without its key, of which there is no other copy than the model's own.
std::string name_of(const LanguageModel& model, bool lacks_key) {
  const std::string temperature =
      model.temperature ? fmt::format("{:a}", *model.temperature) : std::string("-");
  return fmt::format("{}:{}{}:{}{}:{}", model.model.size(), model.model, model.api_base.size(),
                     model.api_base, temperature, lacks_key ? "lost" : "");
}

}  // namespace

std::uint32_t LanguageModels::take(const LanguageModel& model, Limit limit) {
  return take(model, false, limit);
}

std::uint32_t LanguageModels::take(const session::ModelReference& reference) {
  const LanguageModel model{.model = reference.model,
                            .api_base = reference.api_base,
                            .temperature = reference.temperature};
  return take(model, reference.had_key, Limit::kNone);
}

std::uint32_t LanguageModels::take(const LanguageModel& model, bool lacks_key, Limit limit) {
  std::string name = name_of(model, lacks_key);
  const auto [first, last] = numbers_.equal_range(name);
  for (auto at = first; at != last; ++at) {
    Known& known = known_[at->second - 1];
    if (known.key.view() != model.api_key) continue;
    ++known.users;
    return at->second;
  }
  if (limit == Limit::kMost && numbers_.size() >= kMost) return 0;
  SecretText key(model.api_key);
  if (free_.empty()) {
    known_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(known_.size()));
  }
  const std::uint32_t number = free_.back();
  free_.pop_back();
  known_[number - 1] = {.id = ++ids_,
                        .model = {.model = model.model,
                                  .provider = model.provider,
                                  .api_base = model.api_base,
                                  .temperature = model.temperature},
                        .key = std::move(key),
                        .lacks_key = lacks_key,
                        .users = 1};
  numbers_.emplace(std::move(name), number);
  return number;
}

void LanguageModels::release(std::uint32_t number) noexcept {
  if (number == 0) return;
  Known& known = known_[number - 1];
  assert(known.users != 0);
  if (--known.users != 0) return;
  const auto [first, last] = numbers_.equal_range(name_of(known.model, known.lacks_key));
  for (auto at = first; at != last; ++at) {
    if (at->second != number) continue;
    numbers_.erase(at);
    break;
  }
  known = {};
  free_.push_back(number);
}

session::ModelReference LanguageModels::reference(std::uint32_t number) const {
  const Known& known = at(number);
  return {.model = known.model.model,
          .api_base = known.model.api_base,
          .temperature = known.model.temperature,
          .had_key = known.lacks_key || !known.key.view().empty()};
}

}  // namespace dspool::dispatch
