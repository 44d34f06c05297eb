// A text that nobody would write by chance, and where it has got to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace dspool::chaos {

class Canary {
 public:
  explicit Canary(std::uint64_t seed);

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

  // The places where it is, for people to read; never with the text itself.
  // In memory files of this process that are open or mapped.
  [[nodiscard]] std::vector<std::string> find_in_shared_memory() const;
  // In the environment and command lines of this process and of those below it.
  [[nodiscard]] std::vector<std::string> find_in_processes() const;
  // In files below a directory.
  [[nodiscard]] std::vector<std::string> find_in_files(const std::filesystem::path& folder) const;

 private:
  [[nodiscard]] bool is_in_file(const std::filesystem::path& path) const;
  [[nodiscard]] bool is_in_descriptor(int descriptor) const;

  std::string text_;
};

}  // namespace dspool::chaos
