// What a process takes of memory for itself alone.
#pragma once

#include <cstdint>

namespace dspool::dispatch {

// RssAnon of /proc/<pid>/status in bytes: pages that no file and nothing shared is behind; 0 where
// there is no such process. The kernel's word, which a worker cannot change.
[[nodiscard]] std::uint64_t private_memory_bytes(std::int32_t pid);

}  // namespace dspool::dispatch
