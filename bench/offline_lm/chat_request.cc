#include "bench/offline_lm/chat_request.h"

#include <xxhash.h>

#include <optional>

namespace dspool::offline_lm {
namespace {

constexpr std::size_t kMostChoices = 16;

tl::unexpected<Error> refuse(std::string message) {
  return tl::unexpected(Error{.category = ErrorCategory::kCommunication,
                              .code = "invalid_request",
                              .message = std::move(message)});
}

// Takes the first line off `text`; nothing when it is empty.
std::optional<std::string_view> take_line(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// A message's text: its content, or the text parts of a content that is a list of parts.
std::string text_of(ValueView content) {
  if (content.kind() != Kind::kList) return std::string(content.as_string());
  std::string text;
  for (std::size_t i = 0; i < content.size(); ++i) text += content[i]["text"].as_string();
  return text;
}

// Leaves out the lines that DSPy adds around what the user said.
std::string without_markers(std::string_view message) {
  std::string text;
  while (const std::optional<std::string_view> line = take_line(message)) {
    if (line->starts_with("[[ ## ") || line->starts_with("Respond with ")) continue;
    text.append(*line).append("\n");
  }
  return text;
}

// "3. `name` (type): description", where 3 is `number`.
std::optional<OutputField> field_of(std::string_view line, std::size_t number) {
  const std::string prefix = std::to_string(number) + ". `";
  if (!line.starts_with(prefix)) return std::nullopt;
  line.remove_prefix(prefix.size());
  const std::size_t name_end = line.find("` (");
  const std::size_t type_end = line.find("):");
  if (name_end == std::string_view::npos || type_end == std::string_view::npos) return std::nullopt;
  const std::size_t type_begin = name_end + 3;
  if (type_end < type_begin) return std::nullopt;
  return OutputField{.name = std::string(line.substr(0, name_end)),
                     .type = std::string(line.substr(type_begin, type_end - type_begin))};
}

}  // namespace

std::vector<OutputField> output_fields_in(std::string_view system_prompt) {
  static constexpr std::string_view kHeading = "Your output fields are:\n";
  std::vector<OutputField> fields;
  const std::size_t heading = system_prompt.find(kHeading);
  if (heading == std::string_view::npos) return fields;
  system_prompt.remove_prefix(heading + kHeading.size());
  while (const std::optional<std::string_view> line = take_line(system_prompt)) {
    if (line->starts_with("All interactions will be structured")) break;
    // Other lines go on with the description of the field above them.
    if (std::optional<OutputField> field = field_of(*line, fields.size() + 1)) {
      fields.push_back(*std::move(field));
    }
  }
  return fields;
}

Result<ChatRequest> ChatRequest::parse(std::string_view body) {
  const Result<Value> json = Value::parse_json(body);
  if (!json) return refuse(json.error().message);
  if (json->kind() != Kind::kMap) return refuse("the body must be a JSON object");
  const ValueView messages = (*json)["messages"];
  if (messages.kind() != Kind::kList || messages.size() == 0) {
    return refuse("'messages' must be a list with at least one message");
  }
  ChatRequest request;
  request.streams = (*json)["stream"].as_bool();
  if (json->contains("n")) {
    const std::int64_t choices = (*json)["n"].as_int64();
    if (choices < 1 || choices > static_cast<std::int64_t>(kMostChoices)) {
      return refuse("'n' must be between 1 and " + std::to_string(kMostChoices));
    }
    request.choices = static_cast<std::size_t>(choices);
  }
  request.wants_json = (*json)["response_format"]["type"].as_string().starts_with("json");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const ValueView message = messages[i];
    const std::string_view role = message["role"].as_string();
    if (role.empty()) return refuse("message " + std::to_string(i) + " has no 'role'");
    const std::string text = text_of(message["content"]);
    request.prompt_bytes += text.size();
    request.prompt_hash = XXH3_64bits_withSeed(role.data(), role.size(), request.prompt_hash);
    request.prompt_hash = XXH3_64bits_withSeed(text.data(), text.size(), request.prompt_hash);
    if (role == "system" || role == "developer") {
      request.output_fields = output_fields_in(text);
      if (text.find("Outputs will be a JSON object") != std::string::npos) {
        request.wants_json = true;
      }
    } else if (role == "user") {
      request.question = without_markers(text);
    }
  }
  return request;
}

}  // namespace dspool::offline_lm
