// A side that lies: its cursor changes at any moment between what can be and what cannot. Whatever
// was checked must be what is used.
#include <cstring>
#include <memory>

#include "ipc/recall.h"
#include "tests/model/checked_ring.h"
#include "tests/model/explored.h"
#include "tests/model/planted_bug.h"

namespace dspool::model {
namespace {

constexpr std::uint64_t kLie = std::uint64_t{1} << 40;

class LiarModelTest : public testing::Test {
 protected:
  RingBytes memory_;
  std::span<std::byte> bytes_ = memory_.bytes();
};

// Two records lie in the ring, and only the first was ever published by a cursor that can be.
TEST_F(LiarModelTest, TheConsumerReadsNothingBehindATailThatCanBe) {
  const ipc::RecordHeader header{.length = 16, .type = 1, .flags = 0, .request_id = 1};
  constexpr std::uint64_t kPublished = sizeof header + 16;
  std::memcpy(bytes_.data(), &header, sizeof header);
  std::memcpy(bytes_.subspan(kPublished).data(), &header, sizeof header);
  struct Shared {
    Atomic<std::uint64_t> tail = 0;
    Atomic<std::uint64_t> head = 0;
  };
  expect_no_failure([this](Execution& execution) {
    const auto shared = std::make_shared<Shared>();
    shared->tail.set_name("tail");
    shared->tail.plant(planted_bug().tail);
    execution.add_thread("liar", [shared] {
      shared->tail.store(kPublished, std::memory_order_seq_cst);
      shared->tail.store(kLie, std::memory_order_seq_cst);
    });
    execution.add_thread("consumer", [this, shared, &execution] {
      ipc::BasicConsumer<Atomic> consumer(shared->head, shared->tail, bytes_);
      for (int look = 0; look < 3; ++look) {
        const auto record = consumer.peek();
        if (!record) continue;
        execution.require(record->body.data() < bytes_.data() + kPublished,
                          "a record was received that nobody published");
        consumer.release();
      }
    });
  });
}

TEST_F(LiarModelTest, TheProducerFindsNoRoomThatWasNotGiven) {
  struct Shared {
    Atomic<std::uint64_t> tail = 0;
    Atomic<std::uint64_t> head = 0;
  };
  expect_no_failure([this](Execution& execution) {
    const auto shared = std::make_shared<Shared>();
    shared->head.set_name("head");
    shared->head.plant(planted_bug().head);
    execution.add_thread("liar", [shared] {
      shared->head.store(0, std::memory_order_seq_cst);
      shared->head.store(kLie, std::memory_order_seq_cst);
    });
    execution.add_thread("producer", [this, shared, &execution] {
      ipc::BasicProducer<Atomic> producer(shared->tail, shared->head, bytes_);
      constexpr std::uint32_t kBody = body_bytes(kQuarterPages);
      for (int record = 0; record < 4; ++record) {
        if (producer.try_reserve(kBody)) producer.commit(1, 1);
      }
      producer.publish();
      for (int look = 0; look < 2; ++look) {
        execution.require(!producer.try_reserve(kBody), "room was found that nobody gave");
      }
    });
  });
}

TEST_F(LiarModelTest, TheEngineBelievesNoClaimToWhatItHasNotSent) {
  struct Shared {
    Atomic<std::uint64_t> claimed = 0;
    Atomic<std::uint64_t> recalled = 0;
  };
  expect_no_failure([](Execution& execution) {
    const auto shared = std::make_shared<Shared>();
    shared->claimed.set_name("claimed");
    shared->claimed.plant(planted_bug().claimed);
    execution.add_thread("liar", [shared] {
      shared->claimed.store(1, std::memory_order_seq_cst);
      shared->claimed.store(kLie, std::memory_order_seq_cst);
    });
    execution.add_thread("engine", [shared, &execution] {
      ipc::BasicRecaller<Atomic> recaller(shared->recalled, shared->claimed);
      recaller.count_request();
      for (int look = 0; look < 2; ++look) {
        execution.require(recaller.recall() <= recaller.sent(),
                          "a claim was believed that cannot be");
      }
    });
  });
}

}  // namespace
}  // namespace dspool::model
