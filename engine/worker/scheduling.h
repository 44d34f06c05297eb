// What the engine's own threads ask of the scheduler. Requests only: where they are refused, a
// thread runs as any other.
#pragma once

namespace dspool::worker {

// The calling thread runs as soon as it is woken, and never for long. By default it would wait
// until whoever has its core has used a slice up, which takes to the scheduler's next tick. Linux
// from 6.12 on knows slices of one's own; older ones let who has slept run first anyway. What it
// starts does not inherit that.
void run_soon_and_briefly() noexcept;

// While it lives, the calling thread takes no core from another when it is woken: that may be just
// about to tell a caller what it waits for.
class WakesBehindOthers {
 public:
  WakesBehindOthers() noexcept;
  ~WakesBehindOthers();
  WakesBehindOthers(const WakesBehindOthers&) = delete;
  WakesBehindOthers& operator=(const WakesBehindOthers&) = delete;

 private:
  bool changed_;
};

}  // namespace dspool::worker
