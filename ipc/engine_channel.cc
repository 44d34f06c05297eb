#include "ipc/engine_channel.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <bit>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>

#include "ipc/announcement.h"
#include "ipc/control_message.h"
#include "ipc/memory_room.h"
#include "ipc/sealed_bytes.h"

namespace dspool::ipc {
namespace {

Result<void> check_size(const char* ring, std::size_t bytes) {
  if (std::has_single_bit(bytes) && bytes >= kMinRingBytes) return {};
  return tl::unexpected(Fault{FaultKind::kSystem, "the " + std::string(ring) +
                                                      " ring cannot have " + std::to_string(bytes) +
                                                      " bytes: use a power of two of at " +
                                                      "least " + std::to_string(kMinRingBytes)});
}

std::uint64_t add_saturated(std::uint64_t left, std::uint64_t right) {
  const std::uint64_t sum = left + right;
  return sum < left ? std::numeric_limits<std::uint64_t>::max() : sum;
}

// Both segments, with their headers.
std::uint64_t bytes_in_all(const ChannelSizes& sizes) {
  return add_saturated(add_saturated(sizes.request_bytes, sizes.response_bytes),
                       add_saturated(sizes.bulk_bytes, 2 * kRingOffset));
}

Result<FileDescriptor> open_bell() {
  FileDescriptor bell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!bell.is_open()) return system_fault("cannot create an eventfd", errno);
  return bell;
}

struct Sockets {
  FileDescriptor here, there;
};

Result<Sockets> connect_sockets() {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return system_fault("cannot create a pair of sockets", errno);
  }
  return Sockets{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

}  // namespace

Result<std::unique_ptr<EngineChannel>> EngineChannel::create(std::uint64_t epoch,
                                                             const ChannelSizes& sizes) {
  const auto fits =
      check_size("request", sizes.request_bytes)
          .and_then([&] { return check_size("response", sizes.response_bytes); })
          .and_then([&] {
            return sizes.bulk_bytes == 0 ? Result<void>() : check_size("bulk", sizes.bulk_bytes);
          })
          .and_then([&] { return check_memory_room(bytes_in_all(sizes), measure_memory_room()); });
  if (!fits) return tl::unexpected(fits.error());

  const std::size_t bytes_a = kRingOffset + sizes.request_bytes;
  const std::size_t bytes_b = kRingOffset + sizes.response_bytes + sizes.bulk_bytes;
  auto memfd_a = Memfd::create("dspool-engine", bytes_a);
  if (!memfd_a) return tl::unexpected(memfd_a.error());
  auto memfd_b = Memfd::create("dspool-worker", bytes_b);
  if (!memfd_b) return tl::unexpected(memfd_b.error());
  // A is mapped before it is sealed: this stays the only mapping of it that can be written to.
  auto segment_a = Segment::map(memfd_a->descriptor(), bytes_a, Access::kReadWrite);
  if (!segment_a) return tl::unexpected(segment_a.error());
  auto segment_b = Segment::map(memfd_b->descriptor(), bytes_b, Access::kReadOnly);
  if (!segment_b) return tl::unexpected(segment_b.error());
  const auto sealed =
      memfd_a->seal(Seal::kSizeAndContent).and_then([&] { return memfd_b->seal(Seal::kSize); });
  if (!sealed) return tl::unexpected(sealed.error());

  auto caller_bell = open_bell();
  if (!caller_bell) return tl::unexpected(caller_bell.error());
  auto reactor_bell = open_bell();
  if (!reactor_bell) return tl::unexpected(reactor_bell.error());
  auto end_bell = open_bell();
  if (!end_bell) return tl::unexpected(end_bell.error());
  auto control = connect_sockets();
  if (!control) return tl::unexpected(control.error());
  auto lifeline = connect_sockets();
  if (!lifeline) return tl::unexpected(lifeline.error());
  return std::unique_ptr<EngineChannel>(new EngineChannel(
      epoch, sizes,
      Parts{std::move(*memfd_a), std::move(*memfd_b), std::move(*segment_a), std::move(*segment_b),
            std::move(*caller_bell), std::move(*reactor_bell), std::move(*end_bell),
            std::move(control->here), std::move(control->there), std::move(lifeline->here),
            std::move(lifeline->there)}));
}

EngineChannel::EngineChannel(std::uint64_t epoch, const ChannelSizes& sizes, Parts parts)
    : parts_(std::move(parts)),
      epoch_(epoch),
      longest_answer_bytes_(sizes.longest_answer_bytes),
      slab_(sizes.slab),
      engine_(write_header(epoch, sizes, parts_.segment_a)),
      worker_(*reinterpret_cast<const WorkerHeader*>(parts_.segment_b.bytes().data())),
      requests_(engine_.request_tail.value, worker_.request_head.value,
                parts_.segment_a.bytes().subspan(kRingOffset)),
      ringer_(engine_.doorbell.value, worker_.worker_sleeping.value),
      recaller_(engine_.recalled.value, worker_.claimed.value),
      responses_(engine_.response_head.value, worker_.response_tail.value,
                 parts_.segment_b.bytes().subspan(kRingOffset, sizes.response_bytes)) {
  if (sizes.bulk_bytes == 0) return;
  bulk_.emplace(engine_.bulk_head.value, worker_.bulk_tail.value,
                parts_.segment_b.bytes().last(sizes.bulk_bytes),
                longest_body_bytes(sizes.bulk_bytes));
}

EngineChannel::~EngineChannel() {
  parts_.control.close();
  parts_.lifeline.close();
  ring_worker();  // a sleeper sees at once that nobody is left
}

EngineHeader& EngineChannel::write_header(std::uint64_t epoch, const ChannelSizes& sizes,
                                          const Segment& segment) noexcept {
  auto* header = new (segment.bytes().data()) EngineHeader{};
  header->magic = kMagic;
  header->layout_version = kLayoutVersion;
  header->epoch = epoch;
  header->request_bytes = sizes.request_bytes;
  header->response_bytes = sizes.response_bytes;
  header->bulk_bytes = sizes.bulk_bytes;
  header->has_slab = sizes.slab >= 0 ? 1 : 0;
  return *header;
}

// ---- sending ----

std::optional<std::span<std::byte>> EngineChannel::try_reserve(std::uint32_t length) noexcept {
  auto place = requests_.try_reserve(length, length == 0 ? 0 : kControlRoomBytes);
  if (!place && requests_.violated()) sending_violated_.store(true, std::memory_order_release);
  return place;
}

void EngineChannel::commit(std::uint16_t type, std::uint64_t request_id, bool crowded) noexcept {
  requests_.commit(type, request_id, crowded ? kCrowded : std::uint16_t{0});
}

bool EngineChannel::publish() noexcept {
  requests_.publish();
  return ringer_.is_due();
}

void EngineChannel::ring_worker() noexcept { ringer_.ring(); }

std::uint64_t EngineChannel::claimed_requests() noexcept { return checked(recaller_.claimed()); }

std::uint64_t EngineChannel::recall_requests() noexcept { return checked(recaller_.recall()); }

std::uint64_t EngineChannel::checked(std::uint64_t claimed) noexcept {
  if (recaller_.violated()) sending_violated_.store(true, std::memory_order_release);
  return claimed;
}

void EngineChannel::tell_cancelled(std::uint32_t place) noexcept {
  Attention attention = read_attention(engine_.attention[place]);
  attention.cancelled = true;
  tell(place, attention);
}

void EngineChannel::tell_consumed(std::uint32_t place, std::uint64_t chunks) noexcept {
  Attention attention = read_attention(engine_.attention[place]);
  attention.consumed = chunks;
  tell(place, attention);
}

Result<void> EngineChannel::send_control(std::span<const std::byte> message, int descriptor) const {
  return send_message(parts_.control.get(), message, descriptor);
}

// ---- the receive token ----

bool EngineChannel::try_take_token() noexcept {
  bool expected = false;
  return token_is_taken_.compare_exchange_strong(expected, true, std::memory_order_acquire,
                                                 std::memory_order_relaxed);
}

void EngineChannel::release_token() noexcept {
  assert(token_is_taken_.load(std::memory_order_relaxed));
  token_is_taken_.store(false, std::memory_order_release);
}

bool EngineChannel::token_is_taken() const noexcept {
  return token_is_taken_.load(std::memory_order_relaxed);
}

// ---- receiving ----

EngineChannel::Received EngineChannel::receive(RecordHeader& header, std::vector<std::byte>& body) {
  if (!violation_.empty()) return Received::kViolation;
  const auto record = responses_.peek();
  if (responses_.violated()) {
    violation_ = "response ring: " + responses_.violation().describe();
  } else if (sending_violated_.load(std::memory_order_acquire)) {
    violation_ = "request ring: the worker's cursor, or its claim, is what cannot be";
  } else if (record && !check_worker_header()) {
    violation_ = "the worker's header is not of this channel";
  }
  if (!violation_.empty()) return Received::kViolation;
  if (!record) return Received::kNothing;
  header = record->header;
  violation_ = copy_body(*record, body);
  if (!violation_.empty()) return Received::kViolation;
  responses_.release();
  header.length = static_cast<std::uint32_t>(body.size());
  header.flags = 0;
  return Received::kRecord;
}

// What is wrong with the body, or "".
std::string EngineChannel::copy_body(const Record& record, std::vector<std::byte>& body) {
  const auto place = static_cast<BodyPlace>(record.header.flags);
  if (place == BodyPlace::kInline) {
    body.assign(record.body.begin(), record.body.end());
    return {};
  }
  OutsideBody outside{};
  if (record.body.size() != sizeof outside) return "an outside body without its size";
  std::memcpy(&outside, record.body.data(), sizeof outside);
  if (outside.bytes > longest_answer_bytes_) {
    return "an answer of " + std::to_string(outside.bytes) + " bytes, the limit is " +
           std::to_string(longest_answer_bytes_);
  }
  return place == BodyPlace::kBulk ? copy_bulk(record.header, outside.bytes, body)
                                   : copy_memfd(outside.bytes, body);
}

std::string EngineChannel::copy_bulk(const RecordHeader& header, std::uint64_t claimed_bytes,
                                     std::vector<std::byte>& body) {
  if (!bulk_) return "a body in the bulk ring, which this channel does not have";
  const auto bulk = bulk_->peek();
  if (bulk_->violated()) return "bulk ring: " + bulk_->violation().describe();
  if (!bulk) return "a body that is not in the bulk ring";
  if (bulk->header.type != header.type || bulk->header.request_id != header.request_id ||
      bulk->header.flags != 0 || bulk->body.size() != claimed_bytes) {
    return "a body in the bulk ring that belongs to another record";
  }
  body.assign(bulk->body.begin(), bulk->body.end());
  bulk_->release();  // before the record that names it: who waits for room waits for that
  return {};
}

std::string EngineChannel::copy_memfd(std::uint64_t claimed_bytes,
                                      std::vector<std::byte>& body) const {
  const auto message = receive_message(parts_.control.get(), false);
  if (!message || !message->descriptor.is_open()) return "a body whose memfd did not come";
  const auto read = read_sealed(message->descriptor.get(), claimed_bytes, body);
  return read ? std::string() : read.error().what;
}

// Once, at the first record: the worker wrote its header before it.
bool EngineChannel::check_worker_header() {
  worker_header_is_checked_ = worker_header_is_checked_ ||
                              (worker_.magic == kMagic &&
                               worker_.layout_version == kLayoutVersion && worker_.epoch == epoch_);
  return worker_header_is_checked_;
}

void EngineChannel::announce(Receiver receiver) noexcept {
  ipc::announce(engine_.receiver.value, receiver);
}

bool EngineChannel::has_records() const noexcept {
  return worker_.response_tail.value.load(std::memory_order_seq_cst) !=
             engine_.response_head.value.load(std::memory_order_relaxed) ||
         sending_violated_.load(std::memory_order_relaxed);
}

std::uint64_t EngineChannel::heartbeat() const noexcept {
  return worker_.heartbeat.value.load(std::memory_order_relaxed);
}

const std::string& EngineChannel::violation() const noexcept { return violation_; }

// ---- descriptors ----

int EngineChannel::caller_bell() const noexcept { return parts_.caller_bell.get(); }

int EngineChannel::reactor_bell() const noexcept { return parts_.reactor_bell.get(); }

std::array<int, 2> EngineChannel::hang_ups() const noexcept {
  return {parts_.control.get(), parts_.lifeline.get()};
}

int EngineChannel::end_bell() const noexcept { return parts_.end_bell.get(); }

void EngineChannel::ring_end() const noexcept { ::eventfd_write(end_bell(), 1); }

void EngineChannel::clear_bell(Receiver receiver) const noexcept {
  assert(receiver != Receiver::kNobody);
  const int bell = receiver == Receiver::kCaller ? caller_bell() : reactor_bell();
  std::uint64_t rings = 0;
  iovec part{.iov_base = &rings, .iov_len = sizeof rings};
  // Nothing to read is as good as having read it.
  [[maybe_unused]] const ssize_t bytes = ::preadv2(bell, &part, 1, -1, RWF_NOWAIT);
}

std::vector<std::pair<int, int>> EngineChannel::child_descriptors() const {
  const auto number = [](ChildDescriptor descriptor) { return static_cast<int>(descriptor); };
  std::vector<std::pair<int, int>> all{
      {parts_.memfd_a.descriptor(), number(ChildDescriptor::kSegmentA)},
      {parts_.memfd_b.descriptor(), number(ChildDescriptor::kSegmentB)},
      {parts_.child_control.get(), number(ChildDescriptor::kControl)},
      {parts_.caller_bell.get(), number(ChildDescriptor::kCallerBell)},
      {parts_.reactor_bell.get(), number(ChildDescriptor::kReactorBell)},
      {parts_.child_lifeline.get(), number(ChildDescriptor::kLifeline)}};
  if (slab_ >= 0) all.emplace_back(slab_, number(ChildDescriptor::kSlab));
  return all;
}

void EngineChannel::close_child_ends() noexcept {
  parts_.memfd_a.close();
  parts_.memfd_b.close();
  parts_.child_control.close();
  parts_.child_lifeline.close();
}

}  // namespace dspool::ipc
