// What people ask, in the order in which they ask it: read from a file of questions, or made up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/error.h"

namespace dspool::loadtest {

struct Conversation {
  std::string name;
  std::vector<std::string> turns;
};

// JSON lines, as MT-Bench has them: {"question_id": 81, "turns": ["…", "…"], …}. Errors:
// initialization / "invalid_options", beginning with `source_name` and the line.
[[nodiscard]] Result<std::vector<Conversation>> parse_conversations(std::string_view text,
                                                                    std::string_view source_name);
[[nodiscard]] Result<std::vector<Conversation>> read_conversations(
    const std::filesystem::path& path);

// A question for one turn of one session: always the same, and seldom the same for two of them.
[[nodiscard]] std::string made_up_question(std::uint64_t session, std::uint64_t turn);

}  // namespace dspool::loadtest
