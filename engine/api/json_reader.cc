// Recursive descent, at most kMaxValueDepth deep, into literal items that are then encoded at once.
//
// The library has a parser of its own; asked for strict JSON it still takes "1 x", "012", "0x10",
// comments and NaN, reads 9223372036854775808 as 0, and cuts keys at a NUL.
#include "engine/api/json_reader.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/api/utf8.h"
#include "engine/api/value_verifier.h"

namespace dspool {
namespace {

class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  Result<Value> read() {
    auto root = document();
    if (root) return Value::of(*root);
    return tl::unexpected(Error{.category = ErrorCategory::kCommunication,
                                .code = "invalid_json",
                                .message = "JSON, " + place() + ": " + complaint_});
  }

 private:
  using Item = Value::Item;
  using Member = Value::Member;

  // Nothing when the text is wrong at at_; complaint_ says how.
  std::optional<Item> document() {
    auto root = value(0);
    if (root && !skip_space()) return root;
    if (root) complain("the text should end here");
    return std::nullopt;
  }

  // `depth` lists and maps stand around it.
  std::optional<Item> value(std::size_t depth) {
    if (!skip_space()) return complain("a value is missing");
    switch (text_[at_]) {
      case '{':
        return depth < kMaxValueDepth ? object(depth) : complain("nested deeper than 64");
      case '[':
        return depth < kMaxValueDepth ? array(depth) : complain("nested deeper than 64");
      case '"':
        if (const auto text = string()) return Item(*text);
        return std::nullopt;
      case 't':
        return word("true", true);
      case 'f':
        return word("false", false);
      case 'n':
        return word("null", nullptr);
      default:
        return number();
    }
  }

  std::optional<Item> object(std::size_t depth) {
    ++at_;
    std::vector<Member> members;
    if (!skip_to('}')) {
      do {
        if (!skip_space() || text_[at_] != '"') return complain("a key, in quotes, is missing");
        const std::size_t start = at_;
        const auto name = string();
        if (!name) return std::nullopt;
        if (name->find('\0') != std::string_view::npos) {
          at_ = start;
          return complain("a key must not contain \\u0000");
        }
        if (!skip_to(':')) return complain("':' is missing");
        const auto each = value(depth + 1);
        if (!each) return std::nullopt;
        members.emplace_back(*name, *each);
      } while (skip_to(','));
      if (!skip_to('}')) return complain("',' or '}' is missing");
    }
    return Item(std::span<const Member>(maps_.emplace_back(std::move(members))));
  }

  std::optional<Item> array(std::size_t depth) {
    ++at_;
    std::vector<Item> items;
    if (!skip_to(']')) {
      do {
        const auto each = value(depth + 1);
        if (!each) return std::nullopt;
        items.push_back(*each);
      } while (skip_to(','));
      if (!skip_to(']')) return complain("',' or ']' is missing");
    }
    return Item(std::span<const Item>(lists_.emplace_back(std::move(items))));
  }

  std::optional<Item> word(std::string_view spelling, Item meaning) {
    if (!text_.substr(at_).starts_with(spelling)) return complain("a value is missing");
    at_ += spelling.size();
    return meaning;
  }

  std::optional<Item> number() {
    const std::size_t start = at_;
    skip('-');
    if (!skip('0') && !skip_digits()) {
      at_ = start;
      return complain("a value is missing");
    }
    bool integer = true;
    if (skip('.')) {
      integer = false;
      if (!skip_digits()) return complain("a digit is missing");
    }
    if (skip('e') || skip('E')) {
      integer = false;
      if (!skip('+')) skip('-');
      if (!skip_digits()) return complain("a digit is missing");
    }
    const char* const first = text_.data() + start;
    const char* const last = text_.data() + at_;
    std::int64_t whole = 0;
    if (integer && std::from_chars(first, last, whole).ec == std::errc()) return Item(whole);
    double real = 0;
    if (std::from_chars(first, last, real).ec == std::errc()) return Item(real);
    at_ = start;
    return complain("the number is outside the range of a double");
  }

  // The text between the quotes: a piece of the source where nothing in it is escaped.
  std::optional<std::string_view> string() {
    std::size_t plain = ++at_;  // where what has not been copied yet begins
    std::string* copy = nullptr;
    for (;;) {
      if (at_ == text_.size()) return complain("the closing quote is missing");
      const char next = text_[at_];
      if (next == '"' || next == '\\') {
        const std::string_view piece = text_.substr(plain, at_ - plain);
        if (next == '"') {
          ++at_;
          return copy == nullptr ? piece : std::string_view(copy->append(piece));
        }
        if (copy == nullptr) copy = &strings_.emplace_back();
        copy->append(piece);
        if (!escape(*copy)) return std::nullopt;
        plain = at_;
        continue;
      }
      if (next >= 0 && next < 0x20) return complain("a control character is not escaped");
      const std::size_t length = utf8_length(text_.substr(at_));
      if (length == 0) return complain("this is not UTF-8");
      at_ += length;
    }
  }

  bool escape(std::string& out) {
    static constexpr std::string_view kNames = "\"\\/bfnrt";
    static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const std::size_t start = at_++;
    if (skip('u')) {
      auto character = hex4();
      if (character && *character >= 0xD800 && *character < 0xDC00 && skip('\\') && skip('u')) {
        const auto low = hex4();
        const bool pair = low && *low >= 0xDC00 && *low < 0xE000;
        character = pair ? std::optional(0x10000 + ((*character - 0xD800) << 10 | (*low - 0xDC00)))
                         : std::nullopt;
      }
      if (character && (*character < 0xD800 || *character > 0xDFFF)) {
        append_utf8(out, *character);
        return true;
      }
    } else if (const auto name = kNames.find(at_ < text_.size() ? text_[at_] : '\0');
               name != std::string_view::npos) {
      out.push_back(kMeanings[name]);
      ++at_;
      return true;
    }
    at_ = start;
    complain("no such escape, or half of a surrogate pair");
    return false;
  }

  std::optional<std::uint32_t> hex4() {
    const std::string_view digits = text_.substr(at_, 4);
    std::uint32_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() < 4 || end != digits.data() + 4) return std::nullopt;
    at_ += 4;
    return value;
  }

  static void append_utf8(std::string& out, std::uint32_t character) {
    const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (character < 0x80) return put(character);
    if (character < 0x800) {
      put(0xC0 | character >> 6);
    } else {
      if (character < 0x10000) {
        put(0xE0 | character >> 12);
      } else {
        put(0xF0 | character >> 18);
        put(0x80 | (character >> 12 & 0x3F));
      }
      put(0x80 | (character >> 6 & 0x3F));
    }
    put(0x80 | (character & 0x3F));
  }

  // False at the end of the text.
  bool skip_space() {
    at_ = std::min(text_.find_first_not_of(" \t\n\r", at_), text_.size());
    return at_ < text_.size();
  }
  bool skip(char expected) {
    if (at_ == text_.size() || text_[at_] != expected) return false;
    ++at_;
    return true;
  }
  bool skip_to(char expected) { return skip_space() && skip(expected); }
  bool skip_digits() {
    const std::size_t start = at_;
    at_ = std::min(text_.find_first_not_of("0123456789", at_), text_.size());
    return at_ > start;
  }

  std::nullopt_t complain(std::string_view complaint) {
    complaint_ = complaint;
    return std::nullopt;
  }

  std::string place() const {
    const std::string_view before = text_.substr(0, at_);
    const std::string_view line = before.substr(before.rfind('\n') + 1);
    const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
    return "line " + std::to_string(std::ranges::count(before, '\n') + 1) + ", column " +
           std::to_string(std::ranges::count_if(line, begins) + 1);
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  std::string complaint_;
  // What items refer to. Deques, because their elements do not move.
  std::deque<std::string> strings_;
  std::deque<std::vector<Member>> maps_;
  std::deque<std::vector<Item>> lists_;
};

}  // namespace

Result<Value> read_json(std::string_view text) { return JsonReader(text).read(); }

}  // namespace dspool
