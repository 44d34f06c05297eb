// The engine's end of a channel against a worker that may write anything into the segment that is
// its own: its header, its cursors, its ring.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "ipc/engine_channel.h"
#include "ipc/segment.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/peer_producer.h"
#include "tests/fuzz/require.h"

namespace dspool::fuzz {
namespace {

using Received = ipc::EngineChannel::Received;

constexpr std::uint64_t kEpoch = 7;
constexpr ipc::ChannelSizes kSizes{.request_bytes = ipc::kMinRingBytes,
                                   .response_bytes = ipc::kMinRingBytes,
                                   .bulk_bytes = ipc::kMinRingBytes};

constexpr std::size_t kLongestBytes =
    std::max(ipc::kInlineLimitBytes, ipc::longest_body_bytes(ipc::kMinRingBytes));

class Channel {
 public:
  explicit Channel(Input& input) : input_(input) {
    worker_.magic = ipc::kMagic;
    worker_.layout_version = ipc::kLayoutVersion;
    worker_.epoch = kEpoch;
  }

  void step() {
    const auto op = input_.take<std::uint8_t>();
    switch (op % 8) {
      case 0:
      case 1:
        return receive();
      case 2:
        peer_.write(input_);
        worker_.response_tail.value.store(peer_.tail());
        return;
      case 3:
        bulk_peer_.write(input_);
        worker_.bulk_tail.value.store(bulk_peer_.tail());
        return;
      case 4:
        return send(std::uint32_t{input_.take<std::uint16_t>()} * 3);
      case 5:
        worker_.request_head.value.store(
            PeerProducer::claim(input_, worker_.request_head.value.load()));
        return;
      case 6:
        worker_.worker_sleeping.value.store(op < 128);
        return;
      default:
        return scribble_header();
    }
  }

 private:
  void receive() {
    const bool was_violated = !engine_->violation().empty();
    const std::string violation = engine_->violation();
    static_cast<void>(engine_->has_records());
    const Received received = engine_->receive(header_, body_);
    require(
        !was_violated || (received == Received::kViolation && engine_->violation() == violation),
        "a violation is the answer ever after");
    require((received == Received::kViolation) == !engine_->violation().empty(),
            "a violation is told");
    if (received != Received::kRecord) return;
    require(header_.length == body_.size() && body_.size() <= kLongestBytes,
            "a body is as long as its header says");
  }

  void send(std::uint32_t length) {
    if (const auto place = engine_->try_reserve(length)) {
      require(place->size() == length, "a place is as long as was asked for");
      engine_->commit(2, 1);
      engine_->count_request();
    }
    if (engine_->publish()) engine_->ring_worker();
    const std::uint64_t known = engine_->claimed_requests();
    const std::uint64_t begun = engine_->recall_requests();
    require(known <= begun && begun <= engine_->sent_requests(),
            "what is taken back was sent, and not claimed");
  }

  void scribble_header() {
    const std::size_t at = input_.take<std::uint8_t>() * std::size_t{4};
    const auto bytes = input_.take_bytes(4);
    static_assert(sizeof(ipc::WorkerHeader) <= ipc::kRingOffset && ipc::kRingOffset >= 256 * 4);
    if (!bytes.empty()) std::memcpy(&segment_.bytes()[at], bytes.data(), bytes.size());
  }

  Input& input_;
  std::unique_ptr<ipc::EngineChannel> engine_ = ipc::EngineChannel::create(kEpoch, kSizes).value();
  ipc::Segment segment_ =
      ipc::Segment::map(engine_->child_descriptors().at(1).first,
                        ipc::kRingOffset + 2 * ipc::kMinRingBytes, ipc::Access::kReadWrite)
          .value();
  ipc::WorkerHeader& worker_ = *new (segment_.bytes().data()) ipc::WorkerHeader{};
  PeerProducer peer_{segment_.bytes().subspan(ipc::kRingOffset, ipc::kMinRingBytes)};
  PeerProducer bulk_peer_{segment_.bytes().last(ipc::kMinRingBytes)};
  ipc::RecordHeader header_{};
  std::vector<std::byte> body_;
};

}  // namespace
}  // namespace dspool::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dspool::fuzz::Input input(data, size);
  for (dspool::fuzz::Channel channel(input); !input.empty();) channel.step();
  return 0;
}
