// The two views of a ring, each against another side that may write anything at any time: bytes,
// and a cursor that differs from one look to the next, within one call too.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ipc/ring.h"
#include "ipc/ring_inl.h"
#include "tests/fuzz/cursor.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/peer_producer.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/work.h"

namespace dspool::fuzz {
namespace {

constexpr std::size_t kCapacity = ipc::kMinRingBytes;
constexpr std::uint64_t kStepsOfACall = 200;  // wait-free: whatever lies in the ring

struct alignas(ipc::kRecordAlignment) RingBytes : std::array<std::byte, kCapacity> {
  [[nodiscard]] bool hold(std::span<const std::byte> place) const noexcept {
    return place.data() >= data() && place.data() + place.size() <= data() + size();
  }
};
RingBytes read_bytes{};  // all 0 between inputs
RingBytes written_bytes{};

class ReadingSide {
 public:
  explicit ReadingSide(Input& input) : input_(input) { tail_.lie(input); }

  void step() {
    const auto op = input_.take<std::uint8_t>();
    if (op % 4 == 0) {
      static_cast<void>(consumer_.empty());  // believes nothing
      tail_.take_claim();
    } else if (op % 4 == 1) {
      look(op);
    } else {
      if (op % 64 == 3) peer_.go_to(head_.value());
      peer_.write(input_);
      tail_.store(peer_.tail(), std::memory_order_seq_cst);
    }
  }

 private:
  void look(std::uint8_t op) {
    const bool was_violated = consumer_.violated();
    const std::uint64_t head = head_.value();
    const Work work;
    const auto record = consumer_.peek();
    work.require_linear("a look", 0, 0, kStepsOfACall);
    require(!was_violated || (consumer_.violated() && !record), "a lie is not forgotten");
    require(head_.value() == head, "to look takes nothing");
    if (consumer_.violated()) require(!consumer_.violation().describe().empty(), "a lie is told");
    if (const auto claim = tail_.take_claim()) believed_tail_ = *claim;
    if (!record) return;
    const ipc::RecordHeader header = record->header;
    require(!consumer_.violated(), "a liar gives no record");
    require(header.type != ipc::kPaddingType && header.flags <= ipc::kLastBodyPlace,
            "padding is no record");
    require(header.length <= ipc::kInlineLimitBytes && header.length == record->body.size(),
            "a body is as long as its header says");
    require(read_bytes.hold(record->body), "a body lies inside the ring");
    if (op % 3 == 0) peer_.write(input_);  // while it is being read
    if (op % 5 == 0) return;               // to be looked at again
    const auto begin = static_cast<std::uint64_t>(record->body.data() - read_bytes.data());
    consumer_.release();
    require(head_.value() > head && head_.value() - head <= kCapacity, "the head only grows");
    require((head_.value() - begin - header.length) % kCapacity < ipc::kRecordAlignment,
            "what was looked at is released, whatever its header says by now");
    require(believed_tail_ - head_.value() <= kCapacity, "the head stays behind the tail");
  }

  Input& input_;
  Cursor<std::uint64_t> head_;
  Cursor<std::uint64_t> tail_;
  std::uint64_t believed_tail_ = 0;
  PeerProducer peer_{read_bytes};
  ipc::BasicConsumer<Cursor> consumer_{head_, tail_, read_bytes};
};

class WritingSide {
 public:
  explicit WritingSide(Input& input) : input_(input) { head_.lie(input); }

  void step() {
    const auto op = input_.take<std::uint8_t>();
    switch (op % 4) {
      case 0:
        return reserve(input_.take<std::uint16_t>(), op < 240);
      case 1:
        return reserve(std::uint32_t{input_.take<std::uint16_t>()} * 3, op < 240);
      case 2:
        return publish();
      default:  // all is read, as it should be, or so it is said
        head_.store(op < 64 ? tail_.value()
                            : PeerProducer::claim(input_, op < 192 ? tail_.value() : head_.value()),
                    std::memory_order_release);
    }
  }

 private:
  void reserve(std::uint32_t length, bool commit) {
    const bool was_violated = producer_.violated();
    const Work work;
    const auto place = producer_.try_reserve(length);
    work.require_linear("a reservation", 0, 0, kStepsOfACall);
    require(!was_violated || (producer_.violated() && !place), "a lie is not forgotten");
    if (producer_.violated()) require(!producer_.violation().describe().empty(), "a lie is told");
    if (const auto claim = head_.take_claim()) believed_head_ = *claim;
    require(producer_.violated() || believed_head_ <= tail_.value(),
            "nothing is read before it was published");
    if (!place) return;
    require(length <= ipc::kInlineLimitBytes && place->size() == length,
            "a place is as long as was asked for");
    require(written_bytes.hold(*place), "a place lies inside the ring");
    if (commit) producer_.commit(1, length);
  }

  void publish() {
    const std::uint64_t before = tail_.value();
    producer_.publish();
    require(tail_.value() >= before && tail_.value() % ipc::kRecordAlignment == 0,
            "the tail only grows");
    require(producer_.violated() || tail_.value() - believed_head_ <= kCapacity,
            "what was not read is not written over");
  }

  Input& input_;
  Cursor<std::uint64_t> head_;
  Cursor<std::uint64_t> tail_;
  std::uint64_t believed_head_ = 0;
  ipc::BasicProducer<Cursor> producer_{tail_, head_, written_bytes};
};

template <typename Side>
void run(Input& input) {
  for (Side side(input); !input.empty();) side.step();
}

}  // namespace
}  // namespace dspool::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dspool::fuzz;  // NOLINT(google-build-using-namespace): main, as it were
  Input input(data, size);
  if (input.take<std::uint8_t>() % 4 == 0) {
    run<WritingSide>(input);
  } else {
    run<ReadingSide>(input);
  }
  return 0;
}
