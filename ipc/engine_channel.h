// The engine's end of one worker's channel: two sealed memfds, three eventfds, two sockets.
// A channel serves one epoch. It is never repaired: when the worker dies or lies it is destroyed.
//
// Threads: sending is serialised by its callers; receiving belongs to the one holder of the
// receive token (`try_take_token`). The two may run at once. `ring_worker`, `send_control` and
// `announce` may be called by any thread.
// Trust: nothing that the worker wrote is used before it was copied and checked here. The worker
// holds the same bells, and may fill them and clear O_NONBLOCK on them: they are only read here,
// and `clear_bell` does not depend on it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ipc/doorbell.h"
#include "ipc/fault.h"
#include "ipc/file_descriptor.h"
#include "ipc/layout.h"
#include "ipc/memfd.h"
#include "ipc/recall.h"
#include "ipc/ring.h"
#include "ipc/segment.h"

namespace dspool::ipc {

struct ChannelSizes {
  std::size_t request_bytes = std::size_t{1} << 20;  // powers of two, at least kMinRingBytes
  std::size_t response_bytes = std::size_t{1} << 20;
  std::size_t bulk_bytes = 0;  // of the ring for long answers; as the others, or 0: there is none
  // The longest body that is accepted, wherever it lies.
  std::uint64_t longest_answer_bytes = std::uint64_t{256} << 20;
  int slab = -1;  // of the pool's payloads (payload.h), for the worker to inherit; -1: none
};

// The worker's descriptors, as they must be numbered in the worker (see WorkerChannel::attach).
enum class ChildDescriptor : int {
  kSegmentA = 3,
  kSegmentB = 4,
  kControl = 5,      // SOCK_SEQPACKET
  kCallerBell = 6,   // eventfd
  kReactorBell = 7,  // eventfd
  kLifeline = 8,     // SOCK_SEQPACKET on which nothing is sent; its hang-up tells of an end
  kSlab = 9,         // of the pool's payloads (payload.h); not there where the pool has none
};

class EngineChannel {
 public:
  // Allocates and faults in both segments after looking at the memory there is. Errors:
  // kNoMemory (how much was asked, how much there is, what to lower), kSystem.
  static Result<std::unique_ptr<EngineChannel>> create(std::uint64_t epoch,
                                                       const ChannelSizes& sizes);
  EngineChannel(const EngineChannel&) = delete;
  EngineChannel& operator=(const EngineChannel&) = delete;
  ~EngineChannel();

  // ---- sending ----
  // A record is written by reserve -> fill -> commit, then one publish for all. Nothing: full, or
  // longer than kInlineLimitBytes, or the worker's cursor is a lie, which `receive` will tell.
  // Requests leave kControlRoomBytes free, so that a ring full of them still takes what has no
  // body.
  [[nodiscard]] std::optional<std::span<std::byte>> try_reserve(std::uint32_t length) noexcept;
  void commit(std::uint16_t type, std::uint64_t request_id, bool crowded = false) noexcept;
  // Publishes; true when the worker sleeps and `ring_worker` is due. It stays due until rung.
  [[nodiscard]] bool publish() noexcept;
  // The record committed last is a request, which the worker claims before it begins (recall.h). To
  // be called before it is published.
  void count_request() noexcept { recaller_.count_request(); }
  // Serialised with sending: how many of the requests, from the first on, the worker has claimed;
  // and the same after all others were taken back, which it will not begin. A worker whose claim
  // is a lie, which `receive` will tell, has claimed all.
  [[nodiscard]] std::uint64_t claimed_requests() noexcept;
  [[nodiscard]] std::uint64_t recall_requests() noexcept;
  [[nodiscard]] std::uint64_t sent_requests() const noexcept { return recaller_.sent(); }
  // Serialised with sending: tells the worker of the request in this place (attention.h). A request
  // that is about to be published has nothing to be told. REQUIRES: place < kMostPlaces.
  void clear_attention(std::uint32_t place) noexcept {
    if (read_attention(engine_.attention[place]) == Attention{}) return;  // the line stays shared
    tell(place, {});
  }
  void tell_cancelled(std::uint32_t place) noexcept;
  void tell_consumed(std::uint32_t place, std::uint64_t chunks) noexcept;
  // Wakes the worker: bumps the doorbell, FUTEX_WAKE. One system call.
  void ring_worker() noexcept;
  // One message over the control socket (never in shared memory), without waiting, and with it
  // `descriptor`, if that is one. Errors: kPeerGone when it hung up, kTooLarge for what no socket
  // takes, kFull when the worker has left too many unread, kSystem. REQUIRES: a message is not
  // empty.
  Result<void> send_control(std::span<const std::byte> message, int descriptor = -1) const;

  // ---- the receive token ----
  [[nodiscard]] bool try_take_token() noexcept;
  void release_token() noexcept;
  [[nodiscard]] bool token_is_taken() const noexcept;  // a hint

  // ---- receiving; REQUIRES: the token ----
  enum class Received { kNothing, kRecord, kViolation };
  // Copies the next record into `header`, and its body, wherever that lay, into `body` (capacity
  // is reused), and frees their bytes. After kViolation `violation()` says what was wrong; it is
  // the answer ever after.
  Received receive(RecordHeader& header, std::vector<std::byte>& body);
  // Says whom to ring from now on, seq_cst. Look at `has_records` afterwards, before sleeping.
  void announce(Receiver receiver) noexcept;
  // How often the worker's heart has beaten; it beats only while the worker waits. Any thread.
  [[nodiscard]] std::uint64_t heartbeat() const noexcept;
  // Whether `receive` may have something to tell, a record or a lie to a sender: three loads.
  // Without the token it is a hint.
  [[nodiscard]] bool has_records() const noexcept;
  [[nodiscard]] const std::string& violation() const noexcept;

  // ---- descriptors ----
  [[nodiscard]] int caller_bell() const noexcept;   // eventfd, readable after a ring; non-blocking
  [[nodiscard]] int reactor_bell() const noexcept;  // eventfd, readable after a ring; non-blocking
  // Sockets. As soon as one hangs up (POLLHUP), the worker is dead or dying, or has cut itself off.
  // A dead worker's pidfd tells the same, but not before the kernel has taken its memory apart.
  [[nodiscard]] std::array<int, 2> hang_ups() const noexcept;
  // The one of them that `send_control` writes to: writable (EPOLLOUT) again after kFull.
  [[nodiscard]] int control_socket() const noexcept { return parts_.control.get(); }
  // An eventfd that the worker does not have, and so can neither fill nor empty: readable, ever
  // after, once somebody has rung it because the worker ends. Any thread may.
  [[nodiscard]] int end_bell() const noexcept;
  void ring_end() const noexcept;
  // Makes that eventfd unreadable until it is rung again. Never blocks.
  void clear_bell(Receiver receiver) const noexcept;
  // Pairs of (descriptor here, ChildDescriptor number in the child), for ChildProcess::spawn.
  [[nodiscard]] std::vector<std::pair<int, int>> child_descriptors() const;
  // To be called once the child runs: closes the child's ends here, so that hang-ups are seen.
  void close_child_ends() noexcept;

 private:
  struct Parts {
    Memfd memfd_a, memfd_b;
    Segment segment_a, segment_b;
    FileDescriptor caller_bell, reactor_bell, end_bell;
    FileDescriptor control, child_control, lifeline, child_lifeline;
  };
  EngineChannel(std::uint64_t epoch, const ChannelSizes& sizes, Parts parts);
  static EngineHeader& write_header(std::uint64_t epoch, const ChannelSizes& sizes,
                                    const Segment& segment) noexcept;
  bool check_worker_header();
  [[nodiscard]] std::uint64_t checked(std::uint64_t claimed) noexcept;
  void tell(std::uint32_t place, const Attention& attention) noexcept {
    write_attention(engine_.attention[place], attention);
  }
  std::string copy_body(const Record& record, std::vector<std::byte>& body);
  std::string copy_bulk(const RecordHeader& header, std::uint64_t claimed_bytes,
                        std::vector<std::byte>& body);
  std::string copy_memfd(std::uint64_t claimed_bytes, std::vector<std::byte>& body) const;

  Parts parts_;
  const std::uint64_t epoch_;
  const std::uint64_t longest_answer_bytes_;
  const int slab_;
  EngineHeader& engine_;        // segment A
  const WorkerHeader& worker_;  // segment B

  // The senders' and the receiver's own lines.
  alignas(kLineBytes) Producer requests_;
  std::atomic<bool> sending_violated_ = false;  // tells the receiver what a sender found
  Ringer ringer_;
  Recaller recaller_;
  alignas(kLineBytes) Consumer responses_;
  std::optional<Consumer> bulk_;
  std::atomic<bool> token_is_taken_ = false;
  bool worker_header_is_checked_ = false;
  std::string violation_;
};

}  // namespace dspool::ipc
