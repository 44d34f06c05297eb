// The engine's own oneTBB thread, for work that must not lengthen a caller's or the reactor's way:
// hand-offs, sweeps and telemetry aggregation. Nothing in it may block.
#pragma once

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

namespace dspool::dispatch {

class Arena {
 public:
  Arena();
  // Waits until everything that was enqueued has run.
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Runs `work` soon, on the arena's thread. `work` must not outlive what it refers to: the Arena
  // is destroyed first.
  template <typename F>
  void enqueue(F&& work) {
    pending_.fetch_add(1, std::memory_order_release);  // (E)
    arena_.enqueue([this, work = std::forward<F>(work)] {
      static_cast<void>(pending_.load(std::memory_order_acquire));  // (E), for TSan: oneTBB has one
      work();
      if (pending_.fetch_sub(1, std::memory_order_release) == 1) pending_.notify_all();
    });
  }

  // Runs `work` on the arena's thread, or on this one if it may join, and returns what it returns.
  template <typename F>
  auto execute(F&& work) {
    return arena_.execute(std::forward<F>(work));
  }

 private:
  // On one core oneTBB would have no thread but those that ask for one.
  std::optional<tbb::global_control> second_thread_;
  tbb::task_arena arena_;
  std::atomic<std::uint32_t> pending_{0};
};

}  // namespace dspool::dispatch
