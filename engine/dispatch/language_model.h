// What a caller says of a language model, checked. Errors: initialization /
// "invalid_language_model".
#pragma once

#include <string_view>

#include "dspool/call.h"
#include "dspool/error.h"

namespace dspool::dispatch {

// From the arguments of the command set_lm.
Result<LanguageModel> language_model_from(const Value& args);
Result<void> check_language_model(const LanguageModel& model);
// Whose it is, as LiteLLM names models: what stands before the first '/', or all of the name.
// Adapters have the same of `LanguageModel.provider`.
[[nodiscard]] std::string_view provider_of(const LanguageModel& model) noexcept;

}  // namespace dspool::dispatch
