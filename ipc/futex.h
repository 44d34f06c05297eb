// Sleeping on a word of shared memory, and waking who sleeps there. The word may lie in different
// mappings of the two processes, and may be mapped read-only by the sleeper.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace dspool::ipc {

enum class FutexWait {
  kWoken,  // or the word differed, or a signal came: look again
  kTimedOut,
};

// Sleeps while `word` is `expected`, for at most `limit`.
FutexWait futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                     std::chrono::nanoseconds limit) noexcept;

// Wakes one sleeper, if there is one.
void futex_wake_one(std::atomic<std::uint32_t>& word) noexcept;

}  // namespace dspool::ipc
