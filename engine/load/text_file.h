// The lines of a text file that somebody else wrote, and errors that name one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "dspool/error.h"

namespace dspool::load {

// A whole file. Errors: initialization / "invalid_options".
[[nodiscard]] Result<std::string> read_text(const std::filesystem::path& path);

// Goes through a text line by line, without their ends ("\n" or "\r\n").
class Lines {
 public:
  // REQUIRES: both outlive *this.
  Lines(std::string_view text, std::string_view source_name)
      : rest_(text), source_name_(source_name) {}

  std::optional<std::string_view> next();

  // "trace.csv:17: <what>", about the line that `next` gave last.
  [[nodiscard]] tl::unexpected<Error> error(std::string_view what) const;

 private:
  std::string_view rest_;
  std::string_view source_name_;
  std::size_t number_ = 0;
};

}  // namespace dspool::load
