// The allocator of what is allocated on every call: mimalloc, except where a sanitizer has to see
// each allocation (DSPOOL_STD_ALLOCATOR).
#pragma once

#ifdef DSPOOL_STD_ALLOCATOR
#include <memory>
#else
#include <mimalloc.h>
#endif

namespace dspool::session {

#ifdef DSPOOL_STD_ALLOCATOR
template <typename T>
using HotAllocator = std::allocator<T>;
#else
template <typename T>
using HotAllocator = mi_stl_allocator<T>;
#endif

}  // namespace dspool::session
