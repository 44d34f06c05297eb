#include "engine/load/text_file.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "engine/load/invalid_options.h"

namespace dspool::load {

Result<std::string> read_text(const std::filesystem::path& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::array<char, 4096> block;
  do {
    file.read(block.data(), block.size());  // a stream's iterators would throw its errors
    text.append(block.data(), static_cast<std::size_t>(file.gcount()));
  } while (file);
  if (!file.is_open() || file.bad()) {
    return invalid_options(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  }
  return text;
}

std::optional<std::string_view> Lines::next() {
  if (rest_.empty()) return std::nullopt;
  ++number_;
  const std::size_t end = rest_.find('\n');
  std::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

tl::unexpected<Error> Lines::error(std::string_view what) const {
  return invalid_options(fmt::format("{}:{}: {}", source_name_, number_, what));
}

}  // namespace dspool::load
