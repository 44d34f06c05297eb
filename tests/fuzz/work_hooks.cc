// What counts: the compiler's calls at every branch, and the calls of functions whose work no
// branch shows. The linker, told --wrap=X, gives calls of X to __wrap_X and those of __real_X to X.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/work.h"

using dspool::fuzz::work_done;

extern "C" {

void __wrap___sanitizer_cov_trace_pc_guard(std::uint32_t* /*guard*/) { ++work_done; }
void __wrap___sanitizer_cov_trace_pc_guard_init(std::uint32_t* /*first*/, std::uint32_t* /*end*/) {}

int __real_memcmp(const void* left, const void* right, std::size_t size);
int __wrap_memcmp(const void* left, const void* right, std::size_t size) {
  const auto* const first = static_cast<const unsigned char*>(left);
  const auto* const other = static_cast<const unsigned char*>(right);
  work_done += static_cast<std::uint64_t>(std::mismatch(first, first + size, other).first - first);
  return __real_memcmp(left, right, size);
}

void* __real_memchr(const void* bytes, int wanted, std::size_t size);
void* __wrap_memchr(const void* bytes, int wanted, std::size_t size) {
  void* const found = __real_memchr(bytes, wanted, size);
  const auto distance = static_cast<char*>(found) - static_cast<const char*>(bytes);
  work_done += found == nullptr ? size : static_cast<std::uint64_t>(distance);
  return found;
}

std::size_t __real_strlen(const char* text);
std::size_t __wrap_strlen(const char* text) {
  const std::size_t length = __real_strlen(text);
  work_done += length;
  return length;
}

// AddressSanitizer's names of memcpy and memmove.
void* __real___asan_memcpy(void* to, const void* from, std::size_t size);
void* __wrap___asan_memcpy(void* to, const void* from, std::size_t size) {
  work_done += size;
  return __real___asan_memcpy(to, from, size);
}

void* __real___asan_memmove(void* to, const void* from, std::size_t size);
void* __wrap___asan_memmove(void* to, const void* from, std::size_t size) {
  work_done += size;
  return __real___asan_memmove(to, from, size);
}
}
