#include "engine/worker/link.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "engine/session/delta.h"
#include "engine/worker/start_error.h"

namespace dspool::worker {
namespace {

// So much is received at a time, and kept from one time to the next.
constexpr std::size_t kManyBytes = std::size_t{1} << 20;

template <typename Bytes>
void forget_long(Bytes& bytes) noexcept {
  if (bytes.capacity() > kManyBytes) Bytes().swap(bytes);
}

}  // namespace

Link::Link(std::uint32_t slot, std::string_view name, std::uint64_t epoch,
           std::unique_ptr<ipc::EngineChannel> channel, ipc::PayloadStore& payloads,
           ipc::StateSegment& states)
    : slot_(slot),
      name_(name),
      epoch_(epoch),
      channel_(std::move(channel)),
      outbox_(*channel_),
      payloads_(payloads),
      states_(states),
      letters_(kMaxLetters) {}

Sent Link::send(const Request& request, bool crowded) {
  if (request.hydrate && !place_state(request)) return Sent::kNoMemory;
  return send_body(wire::MessageType::request, request.request_id, encoder_.encode(request),
                   &request, crowded);
}

// Finds the session's fields, and pins the references to them where they are too many to go inline.
// false: there is no memory for them.
bool Link::place_state(const Request& request) {
  encoder_.refer_to(*request.state);
  request.pins->state.reset();
  if (encoder_.state_bytes() <= kValueLimitBytes) return true;
  auto placed = payloads_.place(encoder_.encode_state());
  if (!placed) return false;
  request.pins->state = std::move(*placed);
  return true;
}

// A descriptor that waits to be sent may close as soon as its attempt is over.
std::uint64_t Link::recall() noexcept {
  return outbox_.has_more() ? channel_->sent_requests() : channel_->recall_requests();
}

bool Link::send_signal(wire::MessageType type, std::uint64_t request_id) {
  const bool ping = type == wire::MessageType::ping;
  if (ping) {  // before its answer can come
    newest_ping_.store(std::max(newest_ping_.load(), request_id));
    ++unanswered_pings_;
  }
  const bool sent = send_body(type, request_id, {}) == Sent::kSent;
  if (ping && !sent) --unanswered_pings_;
  return sent;
}

bool Link::send_hello(const HelloTerms& terms) {
  const auto hello = encode_hello(epoch_, name_, terms);
  return send_body(wire::MessageType::hello, 0, hello) == Sent::kSent;
}

Sent Link::send_body(wire::MessageType type, std::uint64_t request_id,
                     std::span<const std::byte> body, const Request* request, bool crowded) {
  assert(body.size() <= ipc::kInlineLimitBytes);
  const auto place = channel_->try_reserve(static_cast<std::uint32_t>(body.size()));
  if (!place) return Sent::kFull;
  if (request != nullptr && !hand_over_all(*request)) return Sent::kFull;
  if (!body.empty()) std::memcpy(place->data(), body.data(), body.size());
  channel_->commit(static_cast<std::uint16_t>(type), request_id, crowded);
  if (request != nullptr) {
    channel_->clear_attention(request->place);
    channel_->count_request();
  }
  if (channel_->publish()) ring_due_ = true;
  return Sent::kSent;
}

// Hands over the descriptors that the worker needs for a request and has not got. false: it is
// gone.
bool Link::hand_over_all(const Request& request) {
  const std::uint64_t id = request.request_id;
  if (const Pins* pins = request.pins; pins != nullptr) {
    if (!hand_over_payload(pins->args.get(), id)) return false;
    if (!hand_over_payload(pins->state.get(), id)) return false;
  }
  if (!request.hydrate || has_all(encoder_.pieces())) return true;
  return std::ranges::all_of(request.state->fields(), [this, id](const session::Field& field) {
    return hand_over_block(field.base_block(), id) &&
           std::ranges::all_of(field.chunks(), [this, id](const session::Field::Chunk& chunk) {
             return hand_over_block(chunk.block, id);
           });
  });
}

// Whether it can reach them without another descriptor.
bool Link::has_all(std::span<const wire::Piece> pieces) const noexcept {
  return std::ranges::all_of(pieces, [this](const wire::Piece& piece) {
    return piece.extent() < has_extent_.size() && has_extent_[piece.extent()];
  });
}

bool Link::hand_over_payload(const ipc::Payload* payload, std::uint64_t request_id) {
  if (payload == nullptr || payload->place().in_slab) return true;
  const wire::Handover handover(payload->place().generation, wire::HandoverKind::payload);
  return outbox_.hand_over(handover, payload->descriptor(), request_id).has_value();
}

// A block by itself each time that it is referred to; the extent of all others once.
bool Link::hand_over_block(const ipc::StateBlock& block, std::uint64_t request_id) {
  const ipc::StatePlace place = block.place();
  if (place.extent == ipc::StatePlace::kByItself) {
    const wire::Handover handover(place.at, wire::HandoverKind::block);
    return outbox_.hand_over(handover, block.descriptor(), request_id).has_value();
  }
  if (place.extent >= has_extent_.size()) has_extent_.resize(place.extent + 1);
  if (!has_extent_[place.extent]) {
    const wire::Handover handover(place.extent, wire::HandoverKind::extent);
    has_extent_[place.extent] =
        outbox_.hand_over(handover, states_.descriptor(place.extent), 0).has_value();
  }
  return has_extent_[place.extent];
}

bool Link::take_ring_due() noexcept { return std::exchange(ring_due_, false); }

std::span<Letter> Link::receive() {
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (count < kMaxLetters && bytes < kManyBytes && !violated()) {
    Letter& letter = letters_[count];
    forget_long(letter.body);
    forget_long(letter.outcome.result);
    forget_long(letter.chunk.value);
    ipc::RecordHeader header{};
    const auto received = channel_->receive(header, letter.body);
    if (received == ipc::EngineChannel::Received::kNothing) break;
    if (received == ipc::EngineChannel::Received::kViolation) {
      set_violation(channel_->violation());
      break;
    }
    letter.type = static_cast<wire::MessageType>(header.type);
    letter.request_id = header.request_id;
    if (const Verified<void> verified = read(letter); !verified) {
      set_violation(verified.error());
      break;
    }
    bytes += letter.body.size();
    ++count;
  }
  return std::span(letters_).first(count);
}

Verified<void> Link::read(Letter& letter) {
  switch (letter.type) {
    case wire::MessageType::response: {
      auto decoded = decode_response(letter.body, epoch_, letter.outcome);
      letter.outcome.bytes = &letter.body;
      if (decoded) session::prepare(letter.outcome.delta, states_, slot_ + 1);
      return decoded;
    }
    case wire::MessageType::chunk:
      return decode_chunk(letter.body, epoch_, letter.chunk);
    case wire::MessageType::ready: {
      auto ready = decode_ready(letter.body, epoch_);
      if (!ready) return tl::unexpected(std::move(ready.error()));
      if (std::exchange(has_started_, true)) return tl::unexpected(Violation("a second ready"));
      if (ready->protocol != wire::Protocol::current) {
        letter.type = wire::MessageType::failure;
        letter.failure = version_mismatch(name_, ready->python, ready->protocol);
        return {};
      }
      letter.ready = std::move(*ready);
      is_to_prove_it_ = true;
      return {};
    }
    case wire::MessageType::failure: {
      auto failure = decode_failure(letter.body, epoch_);
      if (!failure) return tl::unexpected(std::move(failure.error()));
      if (std::exchange(has_started_, true)) {
        return tl::unexpected(Violation("a failure after it was ready, or had failed"));
      }
      letter.failure = std::move(*failure);
      return {};
    }
    case wire::MessageType::pong:
      if (!take_ping(letter.request_id)) return tl::unexpected(Violation("a pong to no ping"));
      return {};
    default:
      return tl::unexpected(
          fmt::format("a record of the unknown type {}", static_cast<unsigned>(letter.type)));
  }
}

// Whether a pong can be the answer to a ping that has none yet. Pings are sent one at a time, but
// not always in the order of their ids.
bool Link::take_ping(std::uint64_t id) noexcept {
  if (unanswered_pings_.load() == 0 || id > newest_ping_.load()) return false;
  --unanswered_pings_;
  return true;
}

bool Link::take_readiness() noexcept { return std::exchange(is_to_prove_it_, false); }

void Link::set_violation(std::string what) {
  if (violated()) return;
  violation_ = std::move(what);
  violated_.store(true, std::memory_order_release);
}

}  // namespace dspool::worker
