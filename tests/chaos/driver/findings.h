// What a fault itself has found to be wrong: what no caller's answer and no event shows. Lines of
// findings.jsonl: {"rule", "what"}; the checker makes a violation of each.
//
// Thread-safe.
#pragma once

#include <filesystem>
#include <string_view>

#include "tests/chaos/driver/json_lines.h"

namespace dspool::chaos {

class Findings {
 public:
  explicit Findings(const std::filesystem::path& directory)
      : lines_(directory / "findings.jsonl") {}

  // `rule` is one of checker/violation.py.
  void add(std::string_view rule, std::string_view what) const {
    JsonObject line;
    line.text("rule", rule).text("what", what);
    lines_.write(std::move(line).take());
  }

 private:
  JsonLines lines_;
};

}  // namespace dspool::chaos
