#include "ipc/worker_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
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

Result<void> check_header(const EngineHeader& header, std::size_t bytes_a, std::size_t bytes_b) {
  if (header.magic != kMagic) return mismatch("segment A is not a channel of dspool");
  if (header.layout_version != kLayoutVersion) {
    return mismatch("the engine has layout version " + std::to_string(header.layout_version) +
                    ", this worker " + std::to_string(kLayoutVersion) +
                    ": install the same version of dspool on both sides");
  }
  const auto fits = [](std::uint64_t ring_bytes, std::size_t segment_bytes) {
    return std::has_single_bit(ring_bytes) && ring_bytes >= kMinRingBytes &&
           ring_bytes == segment_bytes - kRingOffset;
  };
  if (!fits(header.request_bytes, bytes_a) || !fits(header.response_bytes, bytes_b)) {
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
                 .reactor_bell = static_cast<int>(ChildDescriptor::kReactorBell)});
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
  for (const int kept : {descriptors.control, descriptors.caller_bell, descriptors.reactor_bell}) {
    if (::fcntl(kept, F_SETFD, FD_CLOEXEC) != 0) {
      return system_fault("descriptor " + std::to_string(kept) + " is not a channel's", errno);
    }
  }
  const FileDescriptor mapped_a(descriptors.segment_a);
  const FileDescriptor mapped_b(descriptors.segment_b);
  return std::unique_ptr<WorkerChannel>(new WorkerChannel(
      Parts{std::move(*segment_a), std::move(*segment_b), FileDescriptor(descriptors.control),
            FileDescriptor(descriptors.caller_bell), FileDescriptor(descriptors.reactor_bell)}));
}

WorkerChannel::WorkerChannel(Parts parts)
    : parts_(std::move(parts)),
      engine_(*reinterpret_cast<const EngineHeader*>(parts_.segment_a.bytes().data())),
      worker_(write_header(engine_, parts_.segment_b)),
      requests_(worker_.request_head.value, engine_.request_tail.value,
                parts_.segment_a.bytes().subspan(kRingOffset)),
      sleeper_(worker_.worker_sleeping.value, engine_.doorbell.value),
      responses_(worker_.response_tail.value, engine_.response_head.value,
                 parts_.segment_b.bytes().subspan(kRingOffset)) {}

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

std::optional<Record> WorkerChannel::try_receive() noexcept { return requests_.peek(); }

void WorkerChannel::release() noexcept { requests_.release(); }

bool WorkerChannel::wait() {
  bool ready = spin_.spin([this] { return has_request(); });
  while (!ready) {
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
  return responses_.try_reserve(length);
}

void WorkerChannel::commit(std::uint16_t type, std::uint64_t request_id) noexcept {
  responses_.commit(type, request_id);
}

void WorkerChannel::publish() noexcept {
  responses_.publish();
  const Receiver receiver = whom_to_ring(engine_.receiver.value);
  // An eventfd whose count is full is readable already.
  if (receiver == Receiver::kCaller) ::eventfd_write(parts_.caller_bell.get(), 1);
  if (receiver == Receiver::kReactor) ::eventfd_write(parts_.reactor_bell.get(), 1);
  kill_point("bell.rung");
}

std::optional<std::uint64_t> WorkerChannel::publish_full() noexcept {
  publish();
  if (responses_.violated()) return std::nullopt;
  return responses_.known_head();
}

bool WorkerChannel::wait_for_room(std::uint64_t read_to) const {
  const auto& head = engine_.response_head.value;
  for (microseconds nap = kShortestNap;
       head.load(std::memory_order_relaxed) == read_to;  // try_reserve takes (C)
       nap = std::min(2 * nap, kLongestNap)) {
    if (engine_is_gone()) return false;
    std::this_thread::sleep_for(nap);
  }
  return true;
}

// ---- control ----

std::optional<std::vector<std::byte>> WorkerChannel::receive_control(bool wait) const {
  const int flags = wait ? 0 : MSG_DONTWAIT;
  const auto receive = [&](void* buffer, std::size_t bytes, int more_flags) {
    ssize_t result = 0;
    do {
      result = ::recv(parts_.control.get(), buffer, bytes, flags | more_flags);
    } while (result < 0 && errno == EINTR);
    return result;
  };
  const ssize_t length = receive(nullptr, 0, MSG_PEEK | MSG_TRUNC);
  if (length <= 0) return std::nullopt;
  std::vector<std::byte> message(static_cast<std::size_t>(length));
  if (receive(message.data(), message.size(), 0) != length) return std::nullopt;
  return message;
}

Result<void> WorkerChannel::start_lifeline() {
  auto lifeline = Lifeline::start(parts_.control.get());
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
