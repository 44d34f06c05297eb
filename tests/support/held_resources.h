// What this process holds that could be left behind: open descriptors, and mappings of channels.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <string>

namespace dspool::test {

struct HeldResources {
  std::ptrdiff_t descriptors = 0;
  std::ptrdiff_t mappings = 0;  // lines of /proc/self/maps that name a channel's memory

  bool operator==(const HeldResources&) const = default;
};

inline HeldResources held_resources() {
  HeldResources held;
  const std::filesystem::directory_iterator open("/proc/self/fd");
  held.descriptors = std::distance(begin(open), end(open));
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/memfd:dspool") != std::string::npos) ++held.mappings;
  }
  return held;
}

inline void PrintTo(const HeldResources& held, std::ostream* stream) {
  *stream << held.descriptors << " descriptors, " << held.mappings << " mappings of channels";
}

}  // namespace dspool::test
