// The worker's end of its channel, used by the Python extension and by native test peers.
//
// Threads: sending and receiving each are serialised by their callers; the two may run at once.
// Waiting for room, control messages and the lifeline are independent of both.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "ipc/adaptive_spin.h"
#include "ipc/control_message.h"
#include "ipc/doorbell.h"
#include "ipc/fault.h"
#include "ipc/file_descriptor.h"
#include "ipc/layout.h"
#include "ipc/lifeline.h"
#include "ipc/recall.h"
#include "ipc/ring.h"
#include "ipc/segment.h"

namespace dspool::ipc {

class WorkerChannel {
 public:
  // Maps the inherited descriptors (engine_channel.h: ChildDescriptor): segment A read-only,
  // segment B writable; checks magic, layout version and sizes. From success on it owns all of
  // them: the segments' are closed, the others get FD_CLOEXEC. Errors: kMismatch, kSystem; then
  // the descriptors are as they were.
  static Result<std::unique_ptr<WorkerChannel>> attach();
  // The same over other descriptor numbers, for tests inside one process.
  struct Descriptors {
    int segment_a, segment_b, control, caller_bell, reactor_bell, lifeline, slab;
  };
  static Result<std::unique_ptr<WorkerChannel>> attach(const Descriptors& descriptors);
  WorkerChannel(const WorkerChannel&) = delete;
  WorkerChannel& operator=(const WorkerChannel&) = delete;
  ~WorkerChannel();

  [[nodiscard]] std::uint64_t epoch() const noexcept;

  // ---- receiving ----
  // The next record, still in the ring, or nothing; valid until release().
  [[nodiscard]] std::optional<Record> try_receive() noexcept;
  void release() noexcept;
  // Claims the request that was received last; to be called once for each, before anything is done
  // for it. false: the engine has recalled it, and it must not begin, but is answered (recall.h).
  [[nodiscard]] bool claim() noexcept { return claimer_.claim(); }
  // Waits until a record is there: spins (pause <= 2 us, then sched_yield up to about 20 us,
  // adaptively; not after a record that was marked kCrowded), then announces sleep, looks again and
  // sleeps on the doorbell's futex. false: the engine is gone (with a lifeline, that ends the
  // process), or its cursor lied.
  [[nodiscard]] bool wait();
  // The longest that wait() spins; 0: it sleeps at once.
  void set_spin_limit(std::chrono::nanoseconds limit) noexcept;
  // How often a sleep ended only because it was bounded, and then there was a record after all.
  // 0, unless the doorbell's protocol is broken.
  [[nodiscard]] std::uint64_t missed_rings() const noexcept;

  // ---- sending ----
  // A place for a body: in the response ring, or in the bulk ring where it is too long for that.
  // Nothing: full (publish_full, wait_for_room, try again), or above longest_in_rings().
  [[nodiscard]] std::optional<std::span<std::byte>> try_reserve(std::uint32_t length) noexcept;
  void commit(std::uint16_t type, std::uint64_t request_id) noexcept;
  [[nodiscard]] std::uint32_t longest_in_rings() const noexcept { return longest_in_rings_; }
  // The same for a body in a sealed memfd of this many bytes (sealed_bytes.h). Nothing was done:
  // kFull, as above; kPeerGone, kSystem.
  Result<void> try_hand_over(std::uint16_t type, std::uint64_t request_id, int memfd,
                             std::uint64_t bytes);
  // Publishes and rings whom the engine announced.
  void publish() noexcept;
  // After there was no room: publishes, and returns how far the engine had read by then; nothing:
  // its cursor lied.
  struct FullRing {
    const std::atomic<std::uint64_t>& head;
    std::uint64_t read_to;
  };
  [[nodiscard]] std::optional<FullRing> publish_full() noexcept;
  // Waits until the engine has read beyond that, in bounded naps; false: the engine is gone. Any
  // number of threads may wait while another sends.
  [[nodiscard]] bool wait_for_room(const FullRing& full) const;

  // ---- what the engine has to say of a request that runs (attention.h) ----
  // Any thread. REQUIRES: `place` is the request's.
  [[nodiscard]] Attention attention(std::uint32_t place) const noexcept {
    return read_attention(engine_.attention[place % kMostPlaces]);
  }
  // Waits until it is no longer `known`, in naps that grow, for a while; false: the engine is gone.
  [[nodiscard]] bool wait_for_attention(std::uint32_t place, const Attention& known) const;

  // ---- control ----
  // The next control message, waiting for it when `wait`; nothing: none there, or hang-up.
  [[nodiscard]] std::optional<ControlMessage> receive_control(bool wait) const {
    return receive_message(parts_.control.get(), wait);
  }
  // Where payloads of the slab are mapped from; -1: the pool has none.
  [[nodiscard]] int slab() const noexcept { return parts_.slab.get(); }
  // Starts a thread that kills this process's whole group when the engine's end hangs up, and by
  // whose end the engine knows of this process's (lifeline.h). To be called once.
  Result<void> start_lifeline();

 private:
  struct Parts {
    Segment segment_a, segment_b;
    FileDescriptor control, caller_bell, reactor_bell, lifeline, slab;
  };
  explicit WorkerChannel(Parts parts);
  static WorkerHeader& write_header(const EngineHeader& engine, const Segment& segment) noexcept;
  void commit_outside(std::uint16_t type, std::uint64_t request_id, BodyPlace place,
                      std::uint64_t bytes) noexcept;
  [[nodiscard]] bool has_request() noexcept;
  [[nodiscard]] bool engine_is_gone() const noexcept;

  Parts parts_;
  const EngineHeader& engine_;  // segment A
  WorkerHeader& worker_;        // segment B
  std::unique_ptr<Lifeline> lifeline_;

  // The receiver's and the sender's own lines.
  alignas(kLineBytes) Consumer requests_;
  AdaptiveSpin spin_;
  bool crowded_ = false;  // as the record that was received last says
  Sleeper sleeper_;
  Claimer claimer_;
  alignas(kLineBytes) Producer responses_;
  std::optional<Producer> bulk_;
  std::uint32_t longest_in_rings_ = kInlineLimitBytes;
  std::uint32_t reserved_bulk_bytes_ = 0;  // 0: the body that was reserved last is inline
  bool bulk_is_full_ = false;              // it was this ring that had no room
};

}  // namespace dspool::ipc
