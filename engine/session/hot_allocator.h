// The allocator of what is allocated on every call: mimalloc, except where a sanitizer has to see
// each allocation (DSPOOL_STD_ALLOCATOR).
#pragma once

#ifdef DSPOOL_STD_ALLOCATOR
#include <memory>
#else
#include <mimalloc.h>

#include <cstddef>
#include <limits>
#include <new>
#endif

namespace dspool::session {

#ifdef DSPOOL_STD_ALLOCATOR
template <typename T>
using HotAllocator = std::allocator<T>;
#else
template <typename T>
struct HotAllocator : mi_stl_allocator<T> {
  using value_type = T;

  HotAllocator() noexcept = default;
  template <typename U>
  HotAllocator(const HotAllocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor): as std's

  // NOLINTBEGIN(readability-identifier-naming): std::allocator_traits looks for these names
  template <typename U>
  struct rebind {
    using other = HotAllocator<U>;
  };
  // NOLINTEND(readability-identifier-naming)

  // mi_stl_allocator's does not look at T's alignment.
  [[nodiscard]] T* allocate(std::size_t count) {
    if constexpr (alignof(T) <= alignof(std::max_align_t)) {
      return mi_stl_allocator<T>::allocate(count);
    } else {
      if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) {
        throw std::bad_array_new_length();
      }
      return static_cast<T*>(mi_new_aligned(count * sizeof(T), alignof(T)));
    }
  }
};
#endif

}  // namespace dspool::session
