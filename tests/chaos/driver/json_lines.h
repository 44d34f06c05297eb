// A file with a JSON object on each line. A line is one write: a process that is killed leaves
// whole lines, in the order in which they were written. While the process may write no files
// (RLIMIT_FSIZE), lines are kept until it may.
//
// Thread-safe.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>

namespace dspool::chaos {

// Builds one object, member by member.
class JsonObject {
 public:
  JsonObject& number(std::string_view name, std::int64_t value);
  JsonObject& text(std::string_view name, std::string_view value);
  // `json` is a value's text already.
  JsonObject& raw(std::string_view name, std::string_view json);
  [[nodiscard]] std::string take() &&;

 private:
  std::string out_;
};

class JsonLines {
 public:
  // Appends to the file, which is made where it is missing. Throws std::system_error.
  explicit JsonLines(const std::filesystem::path& path);
  ~JsonLines();
  JsonLines(const JsonLines&) = delete;
  JsonLines& operator=(const JsonLines&) = delete;

  void write(std::string line) const;

 private:
  // false: the process may not, just now.
  [[nodiscard]] bool write_now(const std::string& lines) const;

  int descriptor_;
  mutable std::mutex mutex_;  // guards what follows
  mutable std::string kept_;
};

}  // namespace dspool::chaos
