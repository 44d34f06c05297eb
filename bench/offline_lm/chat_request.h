// What the offline model needs to know of an OpenAI chat completion request: the prompt, what was
// asked last, and which fields DSPy wants to find in the answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/value.h"

namespace dspool::offline_lm {

struct OutputField {
  std::string name;
  std::string type;  // as DSPy writes it: "str", "list[str]", "Literal['yes', 'no']"
};

struct ChatRequest {
  std::uint64_t prompt_hash = 0;
  std::size_t prompt_bytes = 0;
  std::size_t choices = 1;
  std::string question;                    // the last user message, without DSPy's markers
  std::vector<OutputField> output_fields;  // empty when the request does not come from DSPy
  bool wants_json = false;
  bool streams = false;

  // `body` is the request's JSON. Errors: communication / "invalid_request", whose message says
  // what is wrong with it.
  static Result<ChatRequest> parse(std::string_view body);
};

// The fields that DSPy's adapters list below "Your output fields are:".
[[nodiscard]] std::vector<OutputField> output_fields_in(std::string_view system_prompt);

}  // namespace dspool::offline_lm
