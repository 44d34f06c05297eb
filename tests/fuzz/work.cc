#include "tests/fuzz/work.h"

#include <cstdio>
#include <cstdlib>

namespace dspool::fuzz {

std::uint64_t work_done = 0;

Work::Work() noexcept : start_(work_done) {}

std::uint64_t Work::done() const noexcept { return work_done - start_; }

void Work::require_linear(const char* what, std::size_t size, std::uint64_t each,
                          std::uint64_t fixed) const {
  const std::uint64_t most = fixed + each * size;
  if (done() <= most) return;
  std::fprintf(stderr, "too much work: %s took %llu steps, for a size of %zu at most %llu\n", what,
               static_cast<unsigned long long>(done()), size,
               static_cast<unsigned long long>(most));
  std::abort();
}

}  // namespace dspool::fuzz
