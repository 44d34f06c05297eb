// What a caller says of a language model, checked. Errors: initialization /
// "invalid_language_model".
#pragma once

#include "dspool/call.h"
#include "dspool/error.h"

namespace dspool::dispatch {

// From the arguments of the command set_lm.
Result<LanguageModel> language_model_from(const Value& args);
Result<void> check_language_model(const LanguageModel& model);

}  // namespace dspool::dispatch
