#include "bench/offline_lm/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <vector>

#include "bench/offline_lm/draw.h"

namespace dspool::offline_lm {
namespace {

constexpr std::size_t kFewestLetters = 4;

constexpr std::array kPassedOver = std::to_array<std::string_view>(
    {"about", "after", "also", "another", "been",  "could",  "does",    "each",  "every",
     "from",  "have",  "here", "into",    "just",  "like",   "make",    "more",  "most",
     "only",  "other", "over", "please",  "same",  "should", "some",    "such",  "than",
     "that",  "their", "them", "then",    "there", "these",  "they",    "this",  "those",
     "under", "using", "very", "well",    "were",  "what",   "when",    "where", "which",
     "while", "will",  "with", "would",   "your",  "answer", "question"});

// What can be said about two things without knowing anything of them.
constexpr std::array kSentences = std::to_array<fmt::string_view>(
    {"It begins with {0}, and {1} follows from it.",
     "The difference between {0} and {1} is smaller than it seems.",
     "Whoever asks about {0} will soon ask about {1}.", "There is no {0} without {1}.",
     "First comes {0}; then {1} takes care of itself.",
     "Of {0} and {1}, the first is the harder one.",
     "Start with {0}, measure it, and leave {1} for later.",
     "Most of what is said about {0} is true of {1} as well.",
     "Look at {0} once more before deciding on {1}."});

// The question's own words, in lower case, each once; where there are none, two that always fit.
std::vector<std::string> words_of(std::string_view question) {
  std::vector<std::string> words;
  std::string word;
  const auto finish_word = [&] {
    const bool worth = word.size() >= kFewestLetters &&
                       std::ranges::find(kPassedOver, word) == kPassedOver.end() &&
                       std::ranges::find(words, word) == words.end();
    if (worth) words.push_back(word);
    word.clear();
  };
  for (const char character : question) {
    const auto byte = static_cast<unsigned char>(character);
    if (std::isalpha(byte) != 0) {
      word.push_back(static_cast<char>(std::tolower(byte)));
    } else {
      finish_word();
    }
  }
  finish_word();
  for (const char* const stand_in : {"context", "patience"}) {
    if (words.size() < 2) words.emplace_back(stand_in);
  }
  return words;
}

std::string sentences(const std::vector<std::string>& words, Draw& draw, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = draw.index(words.size());
    const std::size_t second = (first + 1 + draw.index(words.size() - 1)) % words.size();
    if (!text.empty()) text += ' ';
    const fmt::string_view sentence = kSentences[draw.index(kSentences.size())];
    text += fmt::format(fmt::runtime(sentence), words[first], words[second]);
  }
  return text;
}

// "Literal['yes', 'no']" offers yes and no.
std::vector<std::string_view> alternatives_of(std::string_view type) {
  std::vector<std::string_view> alternatives;
  for (std::size_t begin = type.find('\''); begin != std::string_view::npos;) {
    const std::size_t end = type.find('\'', begin + 1);
    if (end == std::string_view::npos) break;
    alternatives.push_back(type.substr(begin + 1, end - begin - 1));
    begin = type.find('\'', end + 1);
  }
  return alternatives;
}

// A value of the field's type. Text for a type that is not one of those that people use with DSPy.
Value value_of(const OutputField& field, const std::vector<std::string>& words, Draw& draw) {
  const std::string_view type = field.type;
  const auto number = static_cast<std::int64_t>(draw.index(100));
  if (type == "int") return Value::of(number);
  if (type == "float") return Value::of(static_cast<double>(number) / 100.0);
  if (type == "bool") return Value::of(number % 2 == 0);
  if (type.starts_with("list") || type.starts_with("List")) {
    if (type.find("str") == std::string_view::npos && type.find('[') != std::string_view::npos) {
      return Value::list({});
    }
    return Value::list({words[0], words[1]});
  }
  if (type.starts_with("dict") || type.starts_with("Dict")) return Value::map({});
  if (type.starts_with("Literal")) {
    const std::vector<std::string_view> alternatives = alternatives_of(type);
    if (!alternatives.empty()) return Value::of(alternatives[draw.index(alternatives.size())]);
  }
  return Value::of(sentences(words, draw, 2));
}

std::string as_text(const Value& value) {
  switch (value.kind()) {
    case Kind::kString:
      return std::string(value.as_string());
    case Kind::kBool:
      return value.as_bool() ? "True" : "False";
    default:
      return value.to_json();
  }
}

}  // namespace

std::string answer_to(const ChatRequest& request, std::uint64_t seed, std::size_t choice) {
  Draw draw(request.prompt_hash ^ (seed + choice) * 0x9e3779b97f4a7c15U);
  const std::vector<std::string> words = words_of(request.question);
  if (request.output_fields.empty()) {
    const std::string text = sentences(words, draw, 2);
    return request.wants_json ? Value{{"answer", text}}.to_json() : text;
  }
  std::vector<Value> values;
  values.reserve(request.output_fields.size());
  for (const OutputField& field : request.output_fields) {
    values.push_back(value_of(field, words, draw));
  }
  if (request.wants_json) {
    std::vector<Value::Member> members;
    for (std::size_t i = 0; i < values.size(); ++i) {
      members.emplace_back(request.output_fields[i].name, values[i]);
    }
    return Value::map(members).to_json();
  }
  std::string text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    text +=
        fmt::format("[[ ## {} ## ]]\n{}\n\n", request.output_fields[i].name, as_text(values[i]));
  }
  return text + "[[ ## completed ## ]]\n";
}

}  // namespace dspool::offline_lm
