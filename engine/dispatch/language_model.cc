#include "engine/dispatch/language_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace dspool::dispatch {
namespace {

constexpr std::size_t kMostModelBytes = 8 * 1024;  // of each of its strings

tl::unexpected<Error> invalid_model(std::string why) {
  return tl::unexpected(Error{.category = ErrorCategory::kInitialization,
                              .code = "invalid_language_model",
                              .message = std::move(why)});
}

}  // namespace

Result<LanguageModel> language_model_from(const Value& args) {
  LanguageModel model;
  if (args.kind() != Kind::kMap) return invalid_model("set_lm takes a map of named arguments");
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string_view name = args.view().key(i);
    const ValueView value = args[i];
    std::string* const text = name == "model"      ? &model.model
                              : name == "api_base" ? &model.api_base
                              : name == "api_key"  ? &model.api_key
                                                   : nullptr;
    if (text == nullptr && name != "temperature") {
      return invalid_model(fmt::format(
          "set_lm does not know '{}': it takes model, api_base, api_key and temperature", name));
    }
    if (value.is_null()) continue;
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
  return model;
}

Result<void> check_language_model(const LanguageModel& model) {
  if (model.model.empty()) {
    return invalid_model("a language model must have a name, for instance \"openai/gpt-4o-mini\"");
  }
  if (std::max({model.model.size(), model.api_base.size(), model.api_key.size()}) >
      kMostModelBytes) {
    return invalid_model(
        fmt::format("a language model's name, api_base and api_key have at most {} bytes each",
                    kMostModelBytes));
  }
  return {};
}

std::string_view provider_of(const LanguageModel& model) noexcept {
  return std::string_view(model.model).substr(0, model.model.find('/'));
}

}  // namespace dspool::dispatch
