// How much memory a process has to itself, for tests that nothing is left in it.
#pragma once

#include <cstddef>
#include <fstream>
#include <string>

namespace dspool::test {

// A sanitizer's quarantine takes what is freed; it has its own ways to find leaks.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kAllocatorKeepsMemory = true;
#else
inline constexpr bool kAllocatorKeepsMemory = false;
#endif

// Of a process that runs, by its pid, or of this one.
inline std::size_t private_kib(const std::string& process = "self") {
  std::ifstream status("/proc/" + process + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoul(line.substr(8));
  }
  return 0;
}

}  // namespace dspool::test
