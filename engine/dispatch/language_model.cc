#include "engine/dispatch/language_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>

#include "engine/session/model_reference.h"

namespace dspool::dispatch {
namespace {

constexpr std::size_t kMostProviderBytes = 64;  // as a breaker's name may be long

struct Maker {
  std::string_view begins;  // the names of its models
  std::string_view provider;
};

// As LiteLLM names providers. Of two that fit the one that stands first counts.
constexpr std::array kMakers = std::to_array<Maker>({
    {"gpt-", "openai"},
    {"chatgpt-", "openai"},
    {"o1", "openai"},
    {"o3", "openai"},
    {"o4", "openai"},
    {"gemini-", "gemini"},
    {"claude-", "anthropic"},
    {"mistral-", "mistral"},
    {"ministral-", "mistral"},
    {"magistral-", "mistral"},
    {"open-mistral-", "mistral"},
    {"open-mixtral-", "mistral"},
    {"pixtral-", "mistral"},
    {"devstral-", "mistral"},
    {"codestral-", "mistral"},
    {"command", "cohere"},
    {"deepseek-", "deepseek"},
    {"grok-", "xai"},
    {"sonar", "perplexity"},
    {"jamba-", "ai21"},
    {"moonshot-", "moonshot"},
    {"kimi-", "moonshot"},
    {"glm-", "zai"},
    {"qwen-", "dashscope"},
});

tl::unexpected<Error> invalid_model(std::string why) {
  return tl::unexpected(Error{.category = ErrorCategory::kInitialization,
                              .code = "invalid_language_model",
                              .message = std::move(why)});
}

std::string known_providers() {
  std::array<std::string_view, kMakers.size()> names;
  std::ranges::transform(kMakers, names.begin(), &Maker::provider);
  std::ranges::sort(names);
  return fmt::format("{}", fmt::join(names.begin(), std::unique(names.begin(), names.end()), ", "));
}

// A family's name alone, or with what tells its members apart: "o3" and "o3-mini", not "o365".
bool begins_with(std::string_view name, std::string_view family) {
  if (!name.starts_with(family)) return false;
  return name.size() == family.size() || family.back() == '-' || name[family.size()] == '-';
}

const Maker* maker_of(std::string_view name) {
  const auto* const found = std::ranges::find_if(
      kMakers, [&](const Maker& maker) { return begins_with(name, maker.begins); });
  return found == kMakers.end() ? nullptr : found;
}

bool is_provider(std::string_view name) {
  return !name.empty() && name.size() <= kMostProviderBytes &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

Result<void> check(const LanguageModel& model) {
  if (model.model.empty()) {
    return invalid_model("a language model must have a name, for instance \"openai/gpt-4o-mini\"");
  }
  if (std::max({model.model.size(), model.api_base.size(), model.api_key.size()}) >
      session::kMostModelBytes) {
    return invalid_model(
        fmt::format("a language model's name, api_base and api_key have at most {} bytes each",
                    session::kMostModelBytes));
  }
  if (!model.provider.empty() && !is_provider(model.provider)) {
    return invalid_model(
        fmt::format("a language model's provider is named by at most {} letters, digits, '_', '-' "
                    "and '.', for instance \"openai\"",
                    kMostProviderBytes));
  }
  if (model.temperature && !(std::isfinite(*model.temperature) && *model.temperature >= 0)) {
    return invalid_model("a language model's temperature is a number from 0 on");
  }
  return {};
}

}  // namespace

bool sets_language_model(std::string_view command) noexcept {
  return command == "set_lm" || command == "configure_lm";
}

Result<std::optional<LanguageModel>> language_model_from(const Value& args) {
  LanguageModel model;
  bool says_more = false;
  if (args.kind() != Kind::kMap) return invalid_model("set_lm takes a map of named arguments");
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string_view name = args.view().key(i);
    const ValueView value = args[i];
    std::string* const text = name == "model"      ? &model.model
                              : name == "provider" ? &model.provider
                              : name == "api_base" ? &model.api_base
                              : name == "api_key"  ? &model.api_key
                                                   : nullptr;
    if (text == nullptr && name != "temperature") {
      return invalid_model(fmt::format(
          "set_lm does not know '{}': it takes model, provider, api_base, api_key and temperature",
          name));
    }
    if (value.is_null()) continue;
    says_more = says_more || name != "model";
    const bool number = value.kind() == Kind::kInt || value.kind() == Kind::kDouble;
    if (text != nullptr ? value.kind() != Kind::kString : !number) {
      return invalid_model(fmt::format("set_lm's argument '{}' must be a {}", name,
                                       text != nullptr ? "string" : "number"));
    }
    if (text != nullptr) {
      *text = value.as_string();
    } else {
      model.temperature = value.as_double();
    }
  }
  if (args.contains("model") && model.model.empty() && !says_more) return std::nullopt;
  return model;
}

Result<LanguageModel> resolve_language_model(LanguageModel model) {
  if (auto valid = check(model); !valid) return tl::unexpected(std::move(valid.error()));
  std::string provider = std::exchange(model.provider, {});
  if (provider == "google") provider = "gemini";  // as the old pool's users know it
  const std::size_t slash = model.model.find('/');
  if (!provider.empty()) {
    if (!model.model.starts_with(provider + "/")) model.model.insert(0, provider + "/");
  } else if (slash != std::string::npos) {
    if (!is_provider(std::string_view(model.model).substr(0, slash))) {
      return invalid_model(
          fmt::format("the language model '{}' names no provider before its '/': write it as "
                      "provider/name, or name the provider beside it",
                      model.model));
    }
  } else if (const Maker* const maker = maker_of(model.model)) {
    model.model.insert(0, std::string(maker->provider) + "/");
  } else if (!model.api_base.empty()) {
    model.model.insert(0, "openai/");
  } else {
    return invalid_model(
        fmt::format("nobody knows whose the language model '{0}' is: write provider/{0}, where the "
                    "provider is one of {1} or another that the adapter knows, or name an api_base",
                    model.model, known_providers()));
  }
  if (model.model.ends_with('/')) {
    return invalid_model(fmt::format("'{}' names a provider and no language model", model.model));
  }
  return model;
}

std::string_view provider_of(const LanguageModel& model) noexcept {
  return std::string_view(model.model).substr(0, model.model.find('/'));
}

}  // namespace dspool::dispatch
