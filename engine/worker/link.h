// A worker as the engine talks to it: its channel at one epoch, requests in and letters out.
//
// Threads: sending is serialised by whoever steps the dispatcher. Receiving belongs to the holder
// of the channel's receive token, who also owns the letters until the next `receive`.
// Lifetime: shared by the supervisor, the reactor and callers that hold the token.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/worker/codec.h"
#include "engine/worker/control_outbox.h"
#include "engine/worker/request.h"
#include "ipc/adaptive_spin.h"
#include "ipc/cgroup.h"
#include "ipc/engine_channel.h"
#include "ipc/payload.h"
#include "ipc/state_segment.h"
#include "schemas/control_generated.h"
#include "schemas/envelope_generated.h"

namespace dspool::worker {

// One record from a worker, copied, verified and decoded.
struct Letter {
  wire::MessageType type{};
  std::uint64_t request_id = 0;
  Outcome outcome;    // response
  ChunkReport chunk;  // chunk
  ReadyReport ready;  // ready
  Error failure;      // failure
  std::vector<std::byte> body;
};

// The ping that every worker finds behind its hello: with the answer it is ready. Others are above.
inline constexpr std::uint64_t kReadinessPing = 1;
// What Link::last_pong becomes when the worker is dead.
inline constexpr std::uint64_t kGoneForEver = ~std::uint64_t{0};

class Link {
 public:
  static constexpr std::size_t kMaxLetters = 64;  // of one receive

  // `payloads` and `states` outlive *this.
  Link(std::uint32_t slot, std::string_view name, std::uint64_t epoch,
       std::unique_ptr<ipc::EngineChannel> channel, ipc::PayloadStore& payloads,
       ipc::StateSegment& states);

  [[nodiscard]] std::uint32_t slot() const noexcept { return slot_; }
  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
  [[nodiscard]] ipc::EngineChannel& channel() noexcept { return *channel_; }
  [[nodiscard]] ControlOutbox& outbox() noexcept { return outbox_; }

  // ---- sending ----
  // What the request refers to stays where it is until the outbox has forgotten it. `crowded`: the
  // worker is not to spin when it has done this (layout.h: kCrowded).
  Sent send(const Request& request, bool crowded = false);
  // Takes back the requests that the worker has not begun: all behind the first so many. What they
  // refer to outside of the state segment stays where it is until the worker has answered
  // `recalled`, the segment may change at once.
  [[nodiscard]] std::uint64_t recall() noexcept;
  // A record without a body; false: the ring is full.
  bool send_signal(wire::MessageType type, std::uint64_t request_id = 0);
  bool send_hello(const HelloTerms& terms);
  // Whether the worker slept when something was published, and must be rung; asks once.
  [[nodiscard]] bool take_ring_due() noexcept;

  // ---- receiving; REQUIRES: the token ----
  // What is there, at most kMaxLetters; valid until the next call. After a violation nothing is
  // received any more.
  std::span<Letter> receive();
  // What the worker did wrong; empty: nothing so far. Any thread may ask `violated`.
  [[nodiscard]] bool violated() const noexcept { return violated_.load(std::memory_order_acquire); }
  [[nodiscard]] const std::string& violation() const noexcept { return violation_; }
  void set_violation(std::string what);
  // Whether it has said that it is ready, and now answered from its loop; true once.
  [[nodiscard]] bool take_readiness() noexcept;
  bool condemned = false;  // its killing is under way
  std::string python{};    // what it said that it runs on
  ipc::AdaptiveSpin spin;  // of the caller that waits for an answer

  // ---- set by the supervisor ----
  int pidfd = -1;
  std::int32_t pid = 0;
  std::shared_ptr<ipc::Cgroup> cgroup;  // null: it has none

  // ---- used under the gate's lock ----
  std::uint64_t last_heartbeat = 0;
  std::uint32_t silent_looks = 0;  // in which it had no work, and its heart did not beat

  // ---- answers to pings ----
  std::atomic<std::uint64_t> last_pong{0};    // the newest ping that was answered
  std::atomic<std::int64_t> last_pong_ns{0};  // when; monotonic
  // Whether a ping is under way.
  [[nodiscard]] bool owes_pong() const noexcept { return unanswered_pings_.load() != 0; }

 private:
  Sent send_body(wire::MessageType type, std::uint64_t request_id, std::span<const std::byte> body,
                 const Request* request = nullptr, bool crowded = false);
  bool place_state(const Request& request);
  [[nodiscard]] bool hand_over_all(const Request& request);
  [[nodiscard]] bool has_all(std::span<const wire::Piece> pieces) const noexcept;
  [[nodiscard]] bool hand_over_payload(const ipc::Payload* payload, std::uint64_t request_id);
  [[nodiscard]] bool hand_over_block(const ipc::StateBlock& block, std::uint64_t request_id);
  Verified<void> read(Letter& letter);
  [[nodiscard]] bool take_ping(std::uint64_t id) noexcept;

  std::uint32_t slot_;
  std::string name_;
  std::uint64_t epoch_;
  std::unique_ptr<ipc::EngineChannel> channel_;
  ControlOutbox outbox_;
  ipc::PayloadStore& payloads_;
  ipc::StateSegment& states_;
  std::vector<bool> has_extent_;  // the extents that were handed over
  RequestEncoder encoder_;
  bool ring_due_ = false;
  std::atomic<std::uint64_t> newest_ping_{0};
  std::atomic<std::uint32_t> unanswered_pings_{0};
  bool has_started_ = false;     // it said that it is ready, or why it will never be
  bool is_to_prove_it_ = false;  // it said that it is ready, and has answered no ping since
  std::vector<Letter> letters_;
  std::atomic<bool> violated_{false};
  std::string violation_;
};

}  // namespace dspool::worker
