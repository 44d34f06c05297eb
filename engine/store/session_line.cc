#include "engine/store/session_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "dspool/session_id.h"
#include "engine/api/json_writer.h"
#include "engine/store/base64.h"
#include "engine/store/line_value.h"
#include "engine/store/whole_value.h"

namespace dspool::store {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::system_clock;

bool is_plain_key(std::string_view key) {
  return is_text(key) && key.find('\0') == std::string_view::npos;
}

// `"name":"text"`, or `"name_base64":"..."`.
void append_text(std::string& line, std::string_view name, std::string_view text) {
  if (is_text(text)) {
    line.append(fmt::format(R"("{}":)", name));
    append_json_string(line, text);
  } else {
    line.append(fmt::format(R"("{}_base64":"{}")", name, to_base64(text)));
  }
}

// Those whose keys are plain, or the others.
void append_fields(std::string& line, const StoredState& state, std::string_view name, bool plain) {
  line.append(fmt::format(",\"{}\":{{", name));
  bool first = true;
  for (const StoredField& field : state.fields) {
    if (is_plain_key(field.key) != plain) continue;
    if (!first) line.push_back(',');
    first = false;
    append_json_string(line, plain ? field.key : to_base64(field.key));
    line.push_back(':');
    append_line_value(line, whole_value(field));
  }
  line.push_back('}');
}

void append_answer(std::string& line, const session::StoredAnswer& answer) {
  line.push_back('{');
  append_text(line, "key", answer.key);
  line.append(fmt::format(R"(,"asked":"{:016x}{:016x}","version":{},"value":)", answer.asked.high,
                          answer.asked.low, answer.version));
  append_line_value(line, Value::from_verified(answer.value));
  line.push_back('}');
}

void append_model(std::string& line, const session::ModelReference& model) {
  line.append(R"(,"language_model":{)");
  append_text(line, "model", model.model);
  line.push_back(',');
  append_text(line, "api_base", model.api_base);
  if (model.temperature) line.append(fmt::format(R"(,"temperature":{})", *model.temperature));
  line.append(fmt::format(R"(,"had_key":{}}})", model.had_key));
}

// Reading goes on after a mistake, with nothing; the first one is told.
class LineReader {
 public:
  explicit LineReader(const Value& line) : line_(line) {}

  tl::expected<SessionLine, std::string> read() {
    check_names(line_, {"id", "id_base64", "ttl_ms", "created_ns", "version", "state_id",
                        "operations", "fields", "fields_base64", "answers", "language_model"});
    SessionLine session{.id = text(line_, "id"), .terms = {}, .log = {}};
    if (!SessionId::valid(session.id)) fail("its id has not 1 to 128 bytes");
    session.terms.ttl = milliseconds(number(line_, "ttl_ms"));
    session.terms.created = system_clock::time_point(
        duration_cast<system_clock::duration>(nanoseconds(number(line_, "created_ns"))));
    snapshot_.version = static_cast<std::uint64_t>(number(line_, "version"));
    snapshot_.operations = static_cast<std::uint64_t>(number(line_, "operations"));
    snapshot_.state_id = state_id();
    read_fields("fields", true);
    read_fields("fields_base64", false);
    read_answers();
    read_model();
    if (!mistake_.empty()) return tl::unexpected(mistake_);
    for (const auto& [key, value] : fields_) {
      snapshot_.fields.push_back({.key = key, .base = value.bytes(), .appended = {}});
    }
    std::ranges::sort(snapshot_.fields, {}, &FieldView::key);
    if (std::ranges::adjacent_find(snapshot_.fields, {}, &FieldView::key) !=
        snapshot_.fields.end()) {
      return tl::unexpected(std::string("a field is there twice"));
    }
    snapshot_.answers = &answers_;
    snapshot_.model = model_.model.empty() ? nullptr : &model_;
    append_snapshot(snapshot_, session.log);
    return session;
  }

 private:
  void fail(std::string mistake) {
    if (mistake_.empty()) mistake_ = std::move(mistake);
  }

  void check_names(const ValueView& map, std::initializer_list<std::string_view> known) {
    if (map.kind() != Kind::kMap) fail("it is not a JSON object");
    for (std::size_t i = 0; i < map.size(); ++i) {
      if (std::ranges::find(known, map.key(i)) == known.end()) {
        fail(fmt::format("\"{}\" is not known", map.key(i)));
      }
    }
  }

  std::string text(const ValueView& map, const std::string& name) {
    const ValueView encoded = map[name + "_base64"];
    if (encoded.is_null()) {
      if (map[name].kind() != Kind::kString) fail(fmt::format("\"{}\" is not a text", name));
      return std::string(map[name].as_string());
    }
    auto decoded = from_base64(encoded.as_string());
    if (!decoded || map.contains(name)) fail(fmt::format("\"{}_base64\" is not base64", name));
    return decoded.value_or("");
  }

  std::int64_t number(const ValueView& map, const char* name) {
    const ValueView value = map[name];
    if (value.kind() != Kind::kInt || value.as_int64() < 0) {
      fail(fmt::format("\"{}\" is not a whole number from 0 on", name));
    }
    return value.as_int64();
  }

  // All 64 bits of it: more than JSON's numbers hold here.
  std::uint64_t state_id() {
    const std::string_view digits = line_["state_id"].as_string();
    std::uint64_t id = 0;
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), id);
    if (digits.empty() || end.ec != std::errc() || end.ptr != digits.data() + digits.size()) {
      fail("\"state_id\" is not a text of digits");
    }
    return id;
  }

  void read_fields(const char* name, bool plain) {
    const ValueView fields = line_[name];
    if (fields.is_null() && !plain) return;
    if (fields.kind() != Kind::kMap) return fail(fmt::format("\"{}\" is not an object", name));
    for (std::size_t i = 0; i < fields.size(); ++i) {
      auto key = plain ? std::optional(std::string(fields.key(i))) : from_base64(fields.key(i));
      auto value = value_in_line(fields[i]);
      if (!key) return fail(fmt::format("the key \"{}\" is not base64", fields.key(i)));
      if (!value)
        return fail(
            fmt::format("the field \"{}\" is not a value that can be stored", fields.key(i)));
      fields_.emplace_back(std::move(*key), std::move(*value));
    }
  }

  void read_answers() {
    const ValueView answers = line_["answers"];
    if (!answers.is_null() && answers.kind() != Kind::kList) fail("\"answers\" is not a list");
    for (std::size_t i = 0; i < answers.size(); ++i) {
      check_names(answers[i], {"key", "key_base64", "asked", "version", "value"});
      session::StoredAnswer answer;
      answer.key = text(answers[i], "key");
      answer.asked = fingerprint(answers[i]["asked"].as_string());
      answer.version = static_cast<std::uint64_t>(number(answers[i], "version"));
      const auto value = value_in_line(answers[i]["value"]);
      if (!value) return fail("an answer's value is not one that can be stored");
      answer.value.assign(value->bytes().begin(), value->bytes().end());
      answers_.store(std::move(answer));
    }
  }

  void read_model() {
    const ValueView model = line_["language_model"];
    if (model.is_null()) return;
    check_names(model,
                {"model", "model_base64", "api_base", "api_base_base64", "temperature", "had_key"});
    model_.model = text(model, "model");
    model_.api_base = text(model, "api_base");
    const ValueView temperature = model["temperature"];
    if (!temperature.is_null()) {
      const bool number = temperature.kind() == Kind::kInt || temperature.kind() == Kind::kDouble;
      if (!number || !(temperature.as_double() >= 0))
        fail("\"temperature\" is no number from 0 on");
      model_.temperature = temperature.as_double();
    }
    const std::size_t provider = model_.model.find('/');
    if (provider == 0 || provider >= model_.model.size() - 1) {
      fail("its language model is not named provider/model");
    }
    if (std::max(model_.model.size(), model_.api_base.size()) > session::kMostModelBytes) {
      fail(fmt::format("its language model's name or api_base has more than {} bytes",
                       session::kMostModelBytes));
    }
    if (model["had_key"].kind() != Kind::kBool) fail("\"had_key\" is not true or false");
    model_.had_key = model["had_key"].as_bool();
  }

  session::Fingerprint fingerprint(std::string_view digits) {
    constexpr std::size_t kHalf = 16;
    session::Fingerprint print;
    const char* const middle = digits.data() + kHalf;
    const bool whole = digits.size() == 2 * kHalf &&
                       std::from_chars(digits.data(), middle, print.high, 16).ptr == middle &&
                       std::from_chars(middle, middle + kHalf, print.low, 16).ptr == middle + kHalf;
    if (!whole) fail("\"asked\" has not 32 hexadecimal digits");
    return print;
  }

  const Value& line_;
  std::string mistake_;
  SnapshotView snapshot_;
  std::vector<std::pair<std::string, Value>> fields_;
  session::StoredAnswers answers_;
  session::ModelReference model_;
};

}  // namespace

std::string to_line(std::string_view id, const StoredTerms& terms, const StoredState& state) {
  std::string line = "{";
  append_text(line, "id", id);
  const auto created = duration_cast<nanoseconds>(terms.created.time_since_epoch());
  line.append(fmt::format(
      R"(,"ttl_ms":{},"created_ns":{},"version":{},"state_id":"{}","operations":{})",
      terms.ttl.count(), created.count(), state.version, state.state_id, state.operations));
  append_fields(line, state, "fields", true);
  if (!std::ranges::all_of(state.fields, is_plain_key, &StoredField::key)) {
    append_fields(line, state, "fields_base64", false);
  }
  line.append(",\"answers\":[");
  for (std::size_t i = 0; i < state.answers.size(); ++i) {
    if (i > 0) line.push_back(',');
    append_answer(line, state.answers[i]);
  }
  line.push_back(']');
  if (state.model) append_model(line, *state.model);
  line.push_back('}');
  return line;
}

tl::expected<SessionLine, std::string> from_line(std::string_view line) {
  const auto parsed = Value::parse_json(line);
  if (!parsed) return tl::unexpected(parsed.error().message);
  return LineReader(*parsed).read();
}

}  // namespace dspool::store
