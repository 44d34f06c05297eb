#include "tests/support/failing_memory.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <new>

#ifndef DSPOOL_STD_ALLOCATOR
#include <mimalloc.h>
#endif

namespace dspool::test {
namespace {

struct Plan {
  FailingMemory::Kind kind{};
  unsigned left = 0;  // allocations until the one that fails; 0: none fails
  bool has_failed = false;
  std::size_t least = 0;
  std::size_t most = 0;
};
thread_local constinit Plan plan;

bool is_to_fail(FailingMemory::Kind kind, std::size_t bytes = 0) noexcept {
  if (plan.left == 0 || plan.kind != kind || bytes < plan.least || bytes > plan.most) return false;
  if (--plan.left != 0) return false;
  plan.has_failed = true;
  return true;
}

bool is_to_fail_with(int error) noexcept {
  if (!is_to_fail(FailingMemory::Kind::kSystem)) return false;
  errno = error;
  return true;
}

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

FailingMemory::FailingMemory(Kind kind, unsigned nth, std::size_t least,
                             std::size_t most) noexcept {
  plan = {.kind = kind, .left = nth, .least = least, .most = most};
  if (kind == Kind::kSystem) plan.least = 0;
}

FailingMemory::~FailingMemory() { plan = {}; }

bool FailingMemory::has_failed() const noexcept { return plan.has_failed; }

}  // namespace dspool::test

using dspool::test::FailingMemory;

// ---- the heap ----

// Not inlined: the compiler takes what it then sees for the memory of one kind in the hands of the
// other.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  void* const place = dspool::test::is_to_fail(FailingMemory::Kind::kHeap, bytes)
                          ? nullptr
                          : std::malloc(bytes != 0 ? bytes : 1);
  if (place == nullptr) throw std::bad_alloc();
  return place;
}
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return ::operator new(bytes); }
[[gnu::noinline]] void operator delete[](void* place) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete[](void* place, std::size_t /*bytes*/) noexcept {
  std::free(place);
}
[[gnu::noinline]] void operator delete(void* place) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, std::size_t /*bytes*/) noexcept {
  std::free(place);
}

#ifndef DSPOOL_STD_ALLOCATOR
extern "C" void* mi_new_n(std::size_t count, std::size_t size) {
  void* const place = dspool::test::is_to_fail(FailingMemory::Kind::kHeap, count * size)
                          ? nullptr
                          : ::mi_mallocn(count, size);
  if (place == nullptr) throw std::bad_alloc();
  return place;
}

extern "C" void* mi_new_aligned(std::size_t bytes, std::size_t alignment) {
  void* const place = dspool::test::is_to_fail(FailingMemory::Kind::kHeap, bytes)
                          ? nullptr
                          : ::mi_malloc_aligned(bytes, alignment);
  if (place == nullptr) throw std::bad_alloc();
  return place;
}
#endif

// ---- the system ----

extern "C" int memfd_create(const char* name, unsigned flags) noexcept {
  if (dspool::test::is_to_fail_with(EMFILE)) return -1;
  static auto* const kReal = dspool::test::real<int(const char*, unsigned)>("memfd_create");
  return kReal(name, flags);
}

extern "C" int fallocate(int descriptor, int mode, off_t at, off_t bytes) {
  if (dspool::test::is_to_fail_with(ENOSPC)) return -1;
  static auto* const kReal = dspool::test::real<int(int, int, off_t, off_t)>("fallocate");
  return kReal(descriptor, mode, at, bytes);
}

extern "C" int eventfd(unsigned count, int flags) noexcept {
  if (dspool::test::is_to_fail_with(EMFILE)) return -1;
  static auto* const kReal = dspool::test::real<int(unsigned, int)>("eventfd");
  return kReal(count, flags);
}

extern "C" int socketpair(int domain, int type, int protocol, int ends[2]) noexcept {
  if (dspool::test::is_to_fail_with(EMFILE)) return -1;
  static auto* const kReal = dspool::test::real<int(int, int, int, int*)>("socketpair");
  return kReal(domain, type, protocol, ends);
}
