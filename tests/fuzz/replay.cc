// Runs a target over files and folders given as arguments, with any compiler and debugger.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

bool replay(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::vector<char> bytes(std::istreambuf_iterator<char>(stream), {});
  if (!stream) return false;
  std::vector<std::uint8_t> input(bytes.size());
  std::ranges::transform(bytes, input.begin(), [](char c) { return static_cast<std::uint8_t>(c); });
  std::printf("%s: %zu bytes\n", file.c_str(), input.size());
  std::fflush(stdout);
  LLVMFuzzerTestOneInput(input.data(), input.size());
  return true;
}

}  // namespace

int main(int argument_count, char** arguments) {
  int replayed = 0;
  for (int i = 1; i < argument_count; ++i) {
    std::vector<std::filesystem::path> files;
    if (std::filesystem::is_directory(arguments[i])) {
      for (const auto& entry : std::filesystem::directory_iterator(arguments[i])) {
        files.push_back(entry.path());
      }
    } else {
      files.emplace_back(arguments[i]);
    }
    for (const auto& file : files) {
      if (!replay(file)) {
        std::fprintf(stderr, "cannot read %s\n", file.c_str());
        return 2;
      }
      ++replayed;
    }
  }
  if (replayed == 0) std::fprintf(stderr, "usage: %s FILE|FOLDER...\n", arguments[0]);
  return replayed == 0 ? 2 : 0;
}
