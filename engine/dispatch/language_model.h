// What a caller says of a language model, checked, and the provider that it belongs to found.
// Errors: initialization / "invalid_language_model".
#pragma once

#include <optional>
#include <string_view>

#include "dspool/call.h"
#include "dspool/error.h"

namespace dspool::dispatch {

// Whether the command of this name sets a language model: "set_lm", or as the bridge of the old
// pool called it, "configure_lm".
[[nodiscard]] bool sets_language_model(std::string_view command) noexcept;

// From the arguments of that command; nothing: `model` is null or empty and stands alone, which
// takes a session back to the pool's.
Result<std::optional<LanguageModel>> language_model_from(const Value& args);

// The model with its provider before its name, as LiteLLM names both, and `provider` empty:
//   provider, if one is given;
//   what stands before the first '/' of the name;
//   for a bare name, whoever is known to make models of such names;
//   with an api_base, openai: most servers of one's own speak its protocol.
// Errors also where none of these says it, with the providers that are known.
Result<LanguageModel> resolve_language_model(LanguageModel model);

// Of a model that was resolved. Adapters have the same of `LanguageModel.provider`.
[[nodiscard]] std::string_view provider_of(const LanguageModel& model) noexcept;

}  // namespace dspool::dispatch
