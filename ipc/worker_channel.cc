#include "ipc/worker_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include "ipc/announcement.h"
#include "ipc/engine_channel.h"
#include "ipc/kill_point.h"

namespace dspool::ipc {
namespace {

using std::chrono::microseconds;

// How often a sleeper makes sure that there is still an engine to wake it.
constexpr std::chrono::seconds kLongestSleep{1};
// Naps while the response ring is full: the engine frees bytes without ringing.
constexpr microseconds kShortestNap{20};
constexpr microseconds kLongestNap{1000};
// How long it waits to be told something before its caller looks at the clock.
constexpr microseconds kLongestAttention{10'000};

Result<std::size_t> size_of(int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) {
    return system_fault("descriptor " + std::to_string(descriptor) +
                            " is not a channel's; workers are started by the engine",
                        errno);
  }
  return static_cast<std::size_t>(status.st_size);
}

tl::unexpected<Fault> mismatch(std::string what) {
  return tl::unexpected(Fault{FaultKind::kMismatch, std::move(what)});
}

bool is_ring_size(std::uint64_t bytes) {
  return std::has_single_bit(bytes) && bytes >= kMinRingBytes;
}

Result<void> check_header(const EngineHeader& header, std::size_t bytes_a, std::size_t bytes_b) {
  if (header.magic != kMagic) return mismatch("segment A is not a channel of dspool");
  if (header.layout_version != kLayoutVersion) {
    return mismatch("the engine has layout version " + std::to_string(header.layout_version) +
                    ", this worker " + std::to_string(kLayoutVersion) +
                    ": install the same version of dspool on both sides");
  }
  if (!is_ring_size(header.request_bytes) || !is_ring_size(header.response_bytes) ||
      !(header.bulk_bytes == 0 || is_ring_size(header.bulk_bytes)) ||
      header.request_bytes != bytes_a - kRingOffset ||
      header.response_bytes + header.bulk_bytes != bytes_b - kRingOffset) {
    return mismatch("the segments' sizes are not those of their rings");
  }
  return {};
}

// Maps a whole segment, whatever its size.
Result<Segment> map_all(int descriptor, Access access) {
  return size_of(descriptor).and_then([&](std::size_t bytes) -> Result<Segment> {
    if (bytes < kRingOffset) return mismatch("a segment is too small for a channel");
    return Segment::map(descriptor, bytes, access);
  });
}

}  // namespace

Result<std::unique_ptr<WorkerChannel>> WorkerChannel::attach() {
  return attach({.segment_a = static_cast<int>(ChildDescriptor::kSegmentA),
                 .segment_b = static_cast<int>(ChildDescriptor::kSegmentB),
                 .control = static_cast<int>(ChildDescriptor::kControl),
                 .caller_bell = static_cast<int>(ChildDescriptor::kCallerBell),
                 .reactor_bell = static_cast<int>(ChildDescriptor::kReactorBell),
                 .lifeline = static_cast<int>(ChildDescriptor::kLifeline),
                 .slab = static_cast<int>(ChildDescriptor::kSlab)});
}

Result<std::unique_ptr<WorkerChannel>> WorkerChannel::attach(const Descriptors& descriptors) {
  auto segment_a = map_all(descriptors.segment_a, Access::kReadOnly);
  if (!segment_a) return tl::unexpected(segment_a.error());
  kill_point("attach.mapped_a");
  auto segment_b = map_all(descriptors.segment_b, Access::kReadWrite);
  if (!segment_b) return tl::unexpected(segment_b.error());
  kill_point("attach.mapped_b");
  const auto& header = *reinterpret_cast<const EngineHeader*>(segment_a->bytes().data());
  const auto checked = check_header(header, segment_a->bytes().size(), segment_b->bytes().size());
  if (!checked) return tl::unexpected(checked.error());
  const int slab = header.has_slab != 0 ? descriptors.slab : -1;
  for (const int kept : {descriptors.control, descriptors.caller_bell, descriptors.reactor_bell,
                         descriptors.lifeline, slab}) {
    if (kept == slab && slab < 0) continue;
    if (::fcntl(kept, F_SETFD, FD_CLOEXEC) != 0) {
      return system_fault("descriptor " + std::to_string(kept) + " is not a channel's", errno);
    }
  }
  const FileDescriptor mapped_a(descriptors.segment_a);
  const FileDescriptor mapped_b(descriptors.segment_b);
  return std::unique_ptr<WorkerChannel>(new WorkerChannel(
      Parts{std::move(*segment_a), std::move(*segment_b), FileDescriptor(descriptors.control),
            FileDescriptor(descriptors.caller_bell), FileDescriptor(descriptors.reactor_bell),
            FileDescriptor(descriptors.lifeline), FileDescriptor(slab)}));
}

WorkerChannel::WorkerChannel(Parts parts)
    : parts_(std::move(parts)),
      engine_(*reinterpret_cast<const EngineHeader*>(parts_.segment_a.bytes().data())),
      worker_(write_header(engine_, parts_.segment_b)),
      requests_(worker_.request_head.value, engine_.request_tail.value,
                parts_.segment_a.bytes().subspan(kRingOffset)),
      sleeper_(worker_.worker_sleeping.value, engine_.doorbell.value),
      claimer_(worker_.claimed.value, engine_.recalled.value),
      responses_(worker_.response_tail.value, engine_.response_head.value,
                 parts_.segment_b.bytes().subspan(kRingOffset, engine_.response_bytes)) {
  if (engine_.bulk_bytes == 0) return;
  longest_in_rings_ = longest_body_bytes(engine_.bulk_bytes);
  bulk_.emplace(worker_.bulk_tail.value, engine_.bulk_head.value,
                parts_.segment_b.bytes().last(engine_.bulk_bytes), longest_in_rings_);
}

WorkerChannel::~WorkerChannel() = default;

WorkerHeader& WorkerChannel::write_header(const EngineHeader& engine,
                                          const Segment& segment) noexcept {
  auto* header = new (segment.bytes().data()) WorkerHeader{};
  header->magic = kMagic;
  header->layout_version = kLayoutVersion;
  header->epoch = engine.epoch;
  kill_point("attach.header_written");
  return *header;
}

std::uint64_t WorkerChannel::epoch() const noexcept { return engine_.epoch; }

// ---- receiving ----

std::optional<Record> WorkerChannel::try_receive() noexcept {
  const auto record = requests_.peek();
  if (record) crowded_ = record->header.flags == kCrowded;
  return record;
}

void WorkerChannel::release() noexcept { requests_.release(); }

bool WorkerChannel::wait() {
  bool ready = crowded_ ? has_request() : spin_.spin([this] { return has_request(); });
  while (!ready) {
    worker_.heartbeat.value.fetch_add(1, std::memory_order_relaxed);
    sleeper_.sleep([this] { return requests_.empty(); }, kLongestSleep);
    ready = has_request();
    if (!ready && engine_is_gone()) return false;
  }
  return !requests_.violated();
}

// Whether there is no need to wait: a record, or a lie about one.
bool WorkerChannel::has_request() noexcept {
  return requests_.peek().has_value() || requests_.violated();
}

void WorkerChannel::set_spin_limit(std::chrono::nanoseconds limit) noexcept {
  spin_.set_limit(limit);
}

std::uint64_t WorkerChannel::missed_rings() const noexcept { return sleeper_.missed_rings(); }

// ---- sending ----

std::optional<std::span<std::byte>> WorkerChannel::try_reserve(std::uint32_t length) noexcept {
  if (length > longest_in_rings_) return std::nullopt;
  const bool in_bulk = length > kInlineLimitBytes;
  reserved_bulk_bytes_ = in_bulk ? length : 0;
  bulk_is_full_ = false;
  if (!in_bulk) return responses_.try_reserve(length);
  if (!responses_.try_reserve(sizeof(OutsideBody))) return std::nullopt;
  const auto place = bulk_->try_reserve(length);
  bulk_is_full_ = !place;
  return place;
}

void WorkerChannel::commit(std::uint16_t type, std::uint64_t request_id) noexcept {
  if (reserved_bulk_bytes_ == 0) return responses_.commit(type, request_id);
  bulk_->commit(type, request_id);
  bulk_->publish();  // before the record that names it
  kill_point("bulk.published");
  commit_outside(type, request_id, BodyPlace::kBulk, reserved_bulk_bytes_);
}

Result<void> WorkerChannel::try_hand_over(std::uint16_t type, std::uint64_t request_id, int memfd,
                                          std::uint64_t bytes) {
  bulk_is_full_ = false;
  if (!responses_.try_reserve(sizeof(OutsideBody))) {
    return tl::unexpected(Fault{FaultKind::kFull, "the response ring is full"});
  }
  auto sent = send_message(parts_.control.get(), std::as_bytes(std::span(&request_id, 1)), memfd);
  kill_point("memfd.handed_over");
  if (sent) commit_outside(type, request_id, BodyPlace::kMemfd, bytes);
  return sent;
}

// Fills and completes the record that names a body elsewhere. REQUIRES: it was reserved last.
void WorkerChannel::commit_outside(std::uint16_t type, std::uint64_t request_id, BodyPlace place,
                                   std::uint64_t bytes) noexcept {
  const auto record = responses_.try_reserve(sizeof(OutsideBody));
  const OutsideBody outside{.bytes = bytes};
  std::memcpy(record->data(), &outside, sizeof outside);
  responses_.commit(type, request_id, static_cast<std::uint16_t>(place));
}

void WorkerChannel::publish() noexcept {
  responses_.publish();
  const Receiver receiver = whom_to_ring(engine_.receiver.value);
  // An eventfd whose count is full is readable already.
  if (receiver == Receiver::kCaller) ::eventfd_write(parts_.caller_bell.get(), 1);
  if (receiver == Receiver::kReactor) ::eventfd_write(parts_.reactor_bell.get(), 1);
  kill_point("bell.rung");
}

std::optional<WorkerChannel::FullRing> WorkerChannel::publish_full() noexcept {
  publish();
  const Producer& full = bulk_is_full_ ? *bulk_ : responses_;
  if (full.violated()) return std::nullopt;
  return FullRing{.head = bulk_is_full_ ? engine_.bulk_head.value : engine_.response_head.value,
                  .read_to = full.known_head()};
}

bool WorkerChannel::wait_for_room(const FullRing& full) const {
  for (microseconds nap = kShortestNap;
       full.head.load(std::memory_order_relaxed) == full.read_to;  // try_reserve takes (C)
       nap = std::min(2 * nap, kLongestNap)) {
    if (engine_is_gone()) return false;
    std::this_thread::sleep_for(nap);
  }
  return true;
}

// ---- attention ----

bool WorkerChannel::wait_for_attention(std::uint32_t place, const Attention& known) const {
  microseconds slept{0};
  for (microseconds nap = kShortestNap; attention(place) == known && slept < kLongestAttention;
       nap = std::min(2 * nap, kLongestNap)) {
    if (engine_is_gone()) return false;
    std::this_thread::sleep_for(nap);
    slept += nap;
  }
  return true;
}

// ---- control ----

Result<void> WorkerChannel::start_lifeline() {
  auto lifeline = Lifeline::start(std::move(parts_.lifeline));
  if (!lifeline) return tl::unexpected(lifeline.error());
  lifeline_ = std::move(*lifeline);
  return {};
}

bool WorkerChannel::engine_is_gone() const noexcept {
  pollfd control{.fd = parts_.control.get(), .events = POLLRDHUP, .revents = 0};
  const bool gone = ::poll(&control, 1, 0) > 0;  // POLLHUP and POLLERR come unasked
  if (gone && lifeline_) Lifeline::end_process();
  return gone;
}

}  // namespace dspool::ipc
