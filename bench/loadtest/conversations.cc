#include "bench/loadtest/conversations.h"

#include <fmt/format.h>

#include <array>

#include "dspool/value.h"
#include "engine/load/text_file.h"

namespace dspool::loadtest {
namespace {

constexpr std::array kTopics = std::to_array<std::string_view>(
    {"shared memory", "a ring buffer", "the event loop", "garbage collection", "a bloom filter",
     "write-ahead logging", "consistent hashing", "back pressure", "a page fault", "vector clocks",
     "copy on write", "memory barriers", "tail latency", "the thundering herd", "load shedding",
     "a circuit breaker", "false sharing"});

constexpr std::array kFirstQuestions = std::to_array<fmt::string_view>(
    {"What is {} good for?", "How would you explain {} to a colleague?",
     "When does {} do more harm than good?", "What goes wrong most often with {}?",
     "Which mistakes do people make with {}?"});

constexpr std::array kLaterQuestions = std::to_array<fmt::string_view>(
    {"And how does it compare with {}?", "Would you say the same about {}?",
     "What changes once {} comes into play?", "Where does {} fit into this?"});

}  // namespace

Result<std::vector<Conversation>> parse_conversations(std::string_view text,
                                                      std::string_view source_name) {
  std::vector<Conversation> conversations;
  load::Lines lines(text, source_name);
  while (const std::optional<std::string_view> line = lines.next()) {
    if (line->find_first_not_of(" \t") == std::string_view::npos) continue;
    const Result<Value> json = Value::parse_json(*line);
    if (!json) return lines.error(json.error().message);
    if (!json->contains("question_id")) return lines.error("there is no 'question_id'");
    const ValueView name = (*json)["question_id"];
    const ValueView turns = (*json)["turns"];
    if (turns.kind() != Kind::kList || turns.size() == 0) {
      return lines.error("'turns' must be a list with at least one question");
    }
    Conversation conversation;
    conversation.name =
        name.kind() == Kind::kString ? std::string(name.as_string()) : name.to_json();
    for (std::size_t i = 0; i < turns.size(); ++i) {
      if (turns[i].kind() != Kind::kString) {
        return lines.error(fmt::format("turn {} is not a string", i + 1));
      }
      conversation.turns.emplace_back(turns[i].as_string());
    }
    conversations.push_back(std::move(conversation));
  }
  if (conversations.empty()) return lines.error("there is no conversation in this file");
  return conversations;
}

Result<std::vector<Conversation>> read_conversations(const std::filesystem::path& path) {
  return load::read_text(path).and_then(
      [&](const std::string& text) { return parse_conversations(text, path.string()); });
}

std::string made_up_question(std::uint64_t session, std::uint64_t turn) {
  const std::string_view topic = kTopics[(session + 5 * turn) % kTopics.size()];
  const fmt::string_view question =
      turn == 0 ? kFirstQuestions[session % kFirstQuestions.size()]
                : kLaterQuestions[(session + turn) % kLaterQuestions.size()];
  return fmt::format(fmt::runtime(question), topic);
}

}  // namespace dspool::loadtest
