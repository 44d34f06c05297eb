#include "engine/dispatch/private_memory.h"

#include <fmt/format.h>

#include <fstream>
#include <string>

namespace dspool::dispatch {

std::uint64_t private_memory_bytes(std::int32_t pid) {
  constexpr std::string_view kKey = "RssAnon:";
  constexpr std::uint64_t kBytesPerKb = 1024;
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kKey)) return std::stoull(line.substr(kKey.size())) * kBytesPerKb;
  }
  return 0;
}

}  // namespace dspool::dispatch
